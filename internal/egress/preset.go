package egress

// Preset is a named list of rules that [Parse] accepts in place of a rule.
type Preset struct {
	Name string
	// About says in one line for people what the preset opens and what it leaves closed.
	About string
	// Rules are in the form that ParseRule reads.
	Rules []string
}

// Presets returns all presets in the order in which help should list them. The caller owns the result.
//
// A preset is a grant to publish as well as to fetch: a registry takes uploads from whoever brings a token, and a code
// host takes pushes. Only ports that the services need are open (no plain http).
func Presets() []Preset {
	return []Preset{
		{
			Name: "packages",
			About: "npm, Yarn, Go, PyPI, crates.io, RubyGems and Maven Central over https; " +
				"large Go modules also need storage.googleapis.com",
			Rules: []string{
				"registry.npmjs.org:443", "registry.yarnpkg.com:443",
				// Large module archives are redirected to storage.googleapis.com, which is left out: every
				// bucket of every customer is on that host, and some take uploads from anybody. A registry, for
				// all that it takes, wants an account for it, and its packages can be looked up and taken down.
				// Whoever fetches such modules opens the host by name.
				"proxy.golang.org:443", "sum.golang.org:443",
				"pypi.org:443", "files.pythonhosted.org:443",
				"crates.io:443", "index.crates.io:443", "static.crates.io:443",
				"rubygems.org:443", "index.rubygems.org:443",
				"repo.maven.apache.org:443", "repo1.maven.org:443",
			},
		},
		{
			Name:  "github",
			About: "github.com over https and ssh, its API, archives, raw files and release downloads",
			Rules: []string{
				"github.com:443", "github.com:22", "api.github.com:443", "codeload.github.com:443",
				"*.githubusercontent.com:443",
			},
		},
	}
}
