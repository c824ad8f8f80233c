// Package attack tries to get out of a sandbox, for real: `ratchetai-runner
// selftest --attack`.
//
//	Run ─ runner.Probe ─ a session's own sandbox ─ sandbox-attack (this program) ─ one function per attempt
//	 │                                                                                  │ NDJSON on stdout
//	 ├─ bait: ports, files, a neighbour, a resolver and a dialler that remember         │
//	 └─ Report <── what the host saw ── what the attempt says of itself <───────────────┘
//
// An attempt holds only if the defence that is expected answered: any other
// error fails it, because an attack that went wrong by itself proves nothing.
// Controls, which have to work, prove that the sandbox was alive: an egress proxy
// that answers nobody would otherwise look perfect.
//
// Nothing leaves the machine: names and addresses behind the proxy are the
// bait's. And nothing is harmed where a defence is missing: attempts open what
// they could write and call what then refuses its arguments.
//
// docs/SECURITY.md says what each group of attempts is about.
package attack

import (
	"encoding/json"
	"fmt"
)

// Result is what came of one attempt.
//
//	{"name":"dns-direct","tried":"UDP to port 53 of two resolvers","held":true,"happened":"network is unreachable"}
type Result struct {
	Name     string `json:"name"`
	Tried    string `json:"tried"`
	Held     bool   `json:"held"`     // the expected defence was there; a control worked
	Happened string `json:"happened"` // what blocked it, or what went through
}

// Report is the whole attack.
type Report struct {
	Results []Result `json:"results"`
	// Remains is what a session can do by design.
	Remains []string `json:"remains"`
}

// Failed returns the results that did not hold.
func (r Report) Failed() []Result {
	var failed []Result
	for _, x := range r.Results {
		if !x.Held {
			failed = append(failed, x)
		}
	}
	return failed
}

// Remains is what a session can do by design; docs/SECURITY.md repeats it.
func Remains() []string {
	return []string{
		"read its own access token, and use it as long as it is valid",
		"send anything that it can read to a host that it may reach, the model's API included; " +
			"a registry or a code host in --allow-host is a place to publish",
		"reach another site behind an allowed host: by TLS without a server name or with an encrypted one, or by a Host header inside TLS",
		"ask the name servers of a wildcard's domain (*.example.com) for names of its choice",
		"change or delete everything in the workspace but the paths of PROTECTED.md, and leave files there for you to run",
		"connect to a Unix socket that a program of yours serves inside the workspace",
		"fill the disk through the workspace and its own home, and 1 GiB of stdout: there is no disk quota",
		"use the processors, memory and processes of its limits all the time",
		"damage its own record: delete the saved stdout or its transcripts, which the runner reports as a gap",
		"learn about the machine: kernel version, processors, memory, uptime, paths of its mounts on the host",
		"attack the kernel by the system calls that the engine's seccomp profile allows; a VM or --runtime runsc is the answer to that",
	}
}

// target tells the program inside what the bait is. It holds no secret: the
// program must find those by itself.
type target struct {
	AllowedPort int    `json:"allowed"`   // of this machine's loopback, allowed to the session
	BaitPort    int    `json:"bait"`      // of all its addresses, not allowed
	BaitDir     string `json:"dir"`       // directory on the host with a file "canary"
	Neighbour   string `json:"neighbour"` // id of another running session
}

// command is the command line of the program inside.
func command(program, mode string, t target) []string {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // numbers and strings
	}
	return []string{program, Subcommand, mode, string(data)}
}

// programPath is where this program is inside.
const programPath = "/run/selftest"

// Subcommand is how this program is called inside; main dispatches it to Main.
const Subcommand = "sandbox-attack"

// Names behind the proxy. All are below domain, which the session may reach;
// the bait's resolver knows what they stand for.
const (
	domain  = "selftest.example"
	allowed = "allowed." + domain
	evil    = "evil.example"
	// sinkMark and baitMark begin what the bait's servers answer.
	sinkMark = "SELFTEST-SINK"
	baitMark = "SELFTEST-BAIT"
)

// Secrets that lie around for the attack to find. They are made of pieces, so
// that this program's own text does not hold them.
func refreshToken() string { return fmt.Sprintf("sk-ant-%s01-%s", "ort", "SELFTEST-refresh-token") }
func canary() string       { return fmt.Sprintf("%s-%s", "SELFTEST", "canary-of-the-host") }
func neighbour() string    { return fmt.Sprintf("%s-%s", "SELFTEST", "canary-of-the-neighbour") }
func accessToken() string  { return fmt.Sprintf("sk-ant-%s01-%s", "oat", "SELFTEST-access-token") }
