package attack

import (
	"bytes"
	"io"
	"net"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// requests is what can be done with HTTP itself.
func requests() []attempt {
	return []attempt{
		{"proxy-host-header", "a Host header that names another host than the request", func(*inside) verdict {
			return every(refused("CONNECT "+evil+":443 HTTP/1.1\r\nHost: "+allowed+":443\r\n\r\n", get("http://"+evil+"/", allowed)),
				unseen(get("http://"+allowed+"/", evil)))
		}},
		{"proxy-two-hosts", "two Host headers, and headers that other proxies obey", func(*inside) verdict {
			return every(refused("CONNECT "+allowed+":443 HTTP/1.1\r\nHost: "+allowed+":443\r\nHost: "+evil+":443\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: "+allowed+"\r\n\r\n", "GET /http://"+evil+"/ HTTP/1.1\r\nHost: "+allowed+"\r\n\r\n"),
				refused("GET http://"+evil+"/ HTTP/1.1\r\nHost: "+allowed+"\r\nX-Forwarded-Host: "+allowed+"\r\nForwarded: host="+allowed+"\r\n\r\n"))
		}},
		{"proxy-scheme", "schemes and forms that are no http request", func(*inside) verdict {
			return refused(get("https://"+allowed+"/", allowed), get("ftp://"+allowed+"/", allowed), get("file:///etc/passwd", allowed),
				get("gopher://"+allowed+"/", allowed), get("//"+allowed+"/", allowed), get("*", allowed), get("http:/"+allowed+"/", allowed),
				"CONNECT / HTTP/1.1\r\nHost: "+allowed+"\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		}},
		{"proxy-smuggling", "request smuggling: two lengths, folded headers, a bare CR", func(*inside) verdict {
			smuggled := "GET http://" + evil + "/ HTTP/1.1\r\nHost: " + evil + "\r\n\r\n"
			head := "POST http://" + allowed + "/ HTTP/1.1\r\nHost: " + allowed + "\r\n"
			return every(
				unseen(head+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled),
				unseen(head+"Content-Length: 0\r\nContent-Length: 60\r\n\r\n"+smuggled),
				unseen(head+"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"+smuggled),
				unseen(head+"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"+smuggled),
				unseen(head+"Content-Length: 0\r\nX: a\rHost: "+evil+"\r\n\r\n"))
		}},
		{"proxy-pipeline", "a second request for another host on one connection", func(*inside) verdict {
			first := "GET http://" + allowed + "/ HTTP/1.1\r\nHost: " + allowed + "\r\n\r\n"
			return unseen(first + get("http://"+evil+"/second", evil))
		}},
		{"proxy-socks", "the proxy's port as SOCKS 4 and 5", func(*inside) verdict {
			five := "\x05\x01\x00\x05\x01\x00\x03" + string(rune(len(evil))) + evil + "\x01\xbb"
			return every(noSocks(five, 0x05), noSocks("\x04\x01\x01\xbb\x7f\x00\x00\x01\x00", 0x00))
		}},
		{"proxy-flood", "600 connections at once, then a request", flood},
	}
}

// unseen holds if no server gets to see a request for the other host: the
// servers here answer with what they got.
func unseen(request string) verdict {
	line, _, _ := strings.Cut(request, "\r\n")
	answer, err := ask(request, func([]byte) bool { return false })
	switch {
	case err != nil:
		return broken("%.60q: no answer: %v", line, err)
	case strings.Contains(answer, baitMark):
		return broken("%.60q reached a port of the host", line)
	}
	for _, part := range strings.Split(answer, sinkMark)[1:] { // up to the next answer, which may refuse by name
		if part, _, _ = strings.Cut(part, sinkEnd); strings.Contains(part, evil) {
			return broken("%.60q: a server got %.200q", line, part)
		}
	}
	return held("%.60q: no server saw %s", line, evil)
}

func noSocks(hello string, version byte) verdict {
	answer, err := ask(hello+"\r\n\r\n", oneAnswer)
	if err == nil && answer != "" && answer[0] == version {
		return broken("it answered %.20q", answer)
	}
	if !strings.HasPrefix(answer, "HTTP/1.1 400") {
		return broken("not the expected answer: %.60q, %v", answer, err)
	}
	return held("400 Bad Request")
}

// flood holds if excess connections are refused and the proxy works afterwards.
func flood(*inside) verdict {
	var all []net.Conn
	for range 600 {
		c, err := net.DialTimeout("tcp", pid1.ProxyAddr, answerMax)
		if err != nil {
			break
		}
		_, _ = io.WriteString(c, "GET http://")
		all = append(all, c)
	}
	over := 0
	for start := time.Now(); over == 0 && time.Since(start) < answerMax/2; {
		time.Sleep(100 * time.Millisecond)
		over = turnedAway(all)
	}
	for _, c := range all {
		c.Close()
	}
	if over == 0 {
		return broken("%d connections were all served", len(all))
	}
	request := get("http://"+allowed+"/", allowed)
	for range 20 { // until the closed ones have gone
		if v := reaches(request); v.held {
			return held("%d of %d refused; then an allowed host answered", over, len(all))
		}
		time.Sleep(100 * time.Millisecond)
	}
	return broken("the proxy does not come back: %s", reaches(request).happened)
}

// turnedAway counts the connections that were refused or closed by now.
func turnedAway(all []net.Conn) (n int) {
	buf := make([]byte, 64)
	for _, c := range all {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if got, err := c.Read(buf); bytes.Contains(buf[:got], []byte(" 503 ")) || err == io.EOF {
			n++
		}
	}
	return n
}
