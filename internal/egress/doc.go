// Package egress is the only way out of a sandbox: an allow-list HTTP proxy, one per session.
//
// # Where it sits
//
// A sandbox has no network at all. Inside, PID 1 listens on 127.0.0.1:3128 and carries every connection through the
// session's tunnel to the runner, which gives it to [Proxy.ServeConn] (or a whole tunnel to [Proxy.Serve]):
//
//	tool in the sandbox ─ 127.0.0.1:3128 ─ tunnel ─ Proxy ─ policy ─ resolve ─ check address ─ dial ─ internet
//
// [Env] is the environment that makes ordinary tools use it.
//
// # What decides
//
// Nothing is allowed by default. A [Policy] is made by [Parse] from rules ("host[:port]", "*.domain[:port]") and
// presets ("packages", "github"); [Policy.Deny] takes hosts away again, whatever allows them. One parser, [ParseHost],
// reads every name that takes part in a decision: rules, request targets and TLS server names, so that two spellings of
// one host cannot get two answers.
//
// A name that the policy allows is resolved here, never in the sandbox; loopback, private, link-local (cloud
// metadata), translated and other special addresses are dropped (Config.Permitted opens ranges on networks that need
// it), and the very addresses that passed are dialled. A DNS answer that changes between check and dial (rebinding)
// therefore has nothing to change.
//
// Behind an upstream proxy (Config.Upstream) that is weaker. The proxy gets the name and looks it up itself, because it
// may decide by names and only it may know them. A name that leads to a forbidden address here is refused; that the
// upstream proxy gets the same answer cannot be checked, and a name that is unknown here is left to it. What it reaches
// in its own network is guarded by its own rules.
//
// On port 443 the first bytes of a tunnel are read: a TLS hello for another host than the CONNECT target (domain
// fronting) ends it.
//
// # Guarantees
//
//   - Every request and every refused connection is reported once through Config.Log; a tunnel that is ended for
//     fronting is reported a second time.
//   - When the context of ServeConn ends, both sides of the connection are closed and ServeConn returns.
//   - What a client sends is bounded: connections, header bytes, time for a header, bytes and time for a TLS hello.
//
// # What it does not do
//
// It does not look inside TLS. Whoever may talk to a host may send it anything: a package registry or a code host is a
// way to publish data, a host name within HTTP in TLS (or encrypted client hello) can differ from the one that was
// checked, and a name under a wildcard can carry data to the domain's own name server. It caches no
// DNS answers.
package egress
