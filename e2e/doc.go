// Package e2e holds the tests of the whole program: the built binary, the real
// engine, and the real Claude Code and Codex, which talk to the scripted model
// API of package modelapi instead of a vendor.
//
//	test -> ratchetai-runner (a child process) -> container -> agent
//	  ^                                                          |
//	  +---- files, journal, exit code <---- modelapi <----- egress proxy
//
// They carry the build tag e2e, need an engine and, once, the npm registry for
// the agents' binaries: `make test`. The binary is the one that
// RATCHETAI_RUNNER names, or is built. Other settings:
//
//	RATCHETAI_KILLS=1000    how often the kill loop kills a runner (default 200)
//	RATCHETAI_AWAY=60s      how long a runner is away in mid-turn (default 20s)
//	RATCHETAI_ONSLAUGHT=5m  how long daemons and control planes are killed under load (default 12s)
//	RATCHETAI_LOGIN_TIME=1h how long sessions share a login of 40 s (default 2m)
//
// Every test ends with the same inspection (inspect_test.go): the journal is
// complete and consistent, nothing is left of the sandbox, and the workspace
// belongs to its person.
package e2e
