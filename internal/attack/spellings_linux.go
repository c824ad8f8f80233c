package attack

// spellings is other ways to write an allowed host, each to be refused or to
// mean what it says.
func spellings() []attempt {
	return []attempt{
		{"proxy-suffix", "names that only look like one below an allowed domain", func(*inside) verdict {
			return both(443, "evil"+domain, domain, "x-"+domain, allowed+".evil.example", domain+".evil.example", "evil.example."+domain+".evil.example")
		}},
		{"proxy-odd-port", "ports that other parsers read as an allowed one", func(*inside) verdict {
			var all []string
			for _, p := range []string{"0443", "+443", "-443", " 443", "443 ", "65979", "4294967739", "0x1bb", "443:443", "443/", "443#", "", "0", "٤٤٣", "443,80"} {
				all = append(all, connect(allowed+":"+p))
			}
			return refused(append(all, connect(allowed), get("http://"+allowed+":080/", allowed), get("http://"+allowed+":80:22/", allowed))...)
		}},
		{"proxy-userinfo", "an allowed host as the user of another, and the reverse", func(*inside) verdict {
			return refused(connect(allowed+"@"+evil+":443"), connect(evil+"@"+allowed+":443"), connect(allowed+":443@"+evil+":443"),
				get("http://"+allowed+"@"+evil+"/", allowed), get("http://"+evil+"@"+allowed+"/", allowed),
				get("http://"+allowed+":80@"+evil+"/", allowed), get("http://"+evil+`\@`+allowed+"/", allowed), get("http://"+evil+"#@"+allowed+"/", allowed))
		}},
		{"proxy-percent", "percent-encoding inside a host", func(*inside) verdict {
			return refused(connect(evil+"%2e"+allowed+":443"), connect(evil+"%00."+allowed+":443"), connect(evil+"%2f."+allowed+":443"),
				connect("%61llowed."+domain+":443"), get("http://"+evil+"%2f."+allowed+"/", allowed), get("http://"+evil+"%23."+allowed+"/", allowed),
				get("http://%6c%6f%63%61%6c%68%6f%73%74/", allowed))
		}},
		{"proxy-null", "null bytes and other control characters inside a host", func(*inside) verdict {
			return refused(connect(evil+"\x00."+allowed+":443"), connect(allowed+"\x00:443"), connect(evil+"\t."+allowed+":443"),
				connect(evil+"\x0b."+allowed+":443"), connect(evil+"\x7f."+allowed+":443"), get("http://"+evil+"\x00."+allowed+"/", allowed),
				connect(evil+"\n."+allowed+":443"), connect(evil+"\r."+allowed+":443"))
		}},
		{"proxy-unicode", "letters and dots of Unicode that some parsers fold", func(*inside) verdict {
			return refused(connect("allowed。selftest。example:443"), connect("ａllowed."+domain+":443"), connect("allowed․selftest.example:443"),
				connect("аllowed."+domain+":443"), connect("lo\u00adcalhost:443"), connect("①②⑦.⓪.⓪.①:80"), connect("\xff"+allowed+":443"),
				get("http://allowed.ſelftest.example/", allowed))
		}},
		{"proxy-dots", "empty labels, many dots and names that are too long", func(*inside) verdict {
			long := make([]byte, 300)
			for i := range long {
				long[i] = 'a'
			}
			return refused(connect(allowed+"..:443"), connect("."+allowed+":443"), connect("allowed.."+domain+":443"), connect(".:443"),
				connect(string(long)+"."+domain+":443"), connect(string(long[:64])+"."+domain+":443"), connect("-a."+domain+":443"), connect("*."+domain+":443"))
		}},
		{"proxy-brackets", "brackets, zones and paths around a host", func(*inside) verdict {
			return refused(connect("["+allowed+"]:443"), connect("["+evil+"]"+allowed+":443"), connect("[::1]"+allowed+":443"), connect("["+allowed+":443"),
				connect(evil+"/"+allowed+":443"), connect(evil+"?"+allowed+":443"), connect(evil+`\.`+allowed+":443"), connect("http://"+allowed+":443"))
		}},
	}
}
