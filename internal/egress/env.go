package egress

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// Env returns the environment, sorted NAME=VALUE lines, that makes ordinary tools in a sandbox use the proxy at addr
// (HOST:PORT, as seen from inside). It is pure.
//
//   - HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY in both cases: curl reads only the lower-case http_proxy, other
//     tools only upper case. npm, pip, cargo, Go, git over https and gem need nothing more. NO_PROXY
//     is the sandbox itself, where test servers run.
//   - NODE_USE_ENV_PROXY: Node's own fetch and http (from 22.21 and 24.5) ignore the others without it.
//   - JAVA_TOOL_OPTIONS: the JVM has no proxy variables. This is the one option variable that every JVM reads, daemons
//     and forked tests included; its price is one line on stderr at each start ("Picked up JAVA_TOOL_OPTIONS: …"). A
//     session that cannot bear the line unsets it. The aether option makes Maven look at system properties.
//   - GIT_SSH_COMMAND, only when sshProxy is not empty: git over ssh. sshProxy is a shell command without arguments
//     that need quoting; it gets host and port appended and must connect its stdin and stdout to them through the
//     proxy (for example "/opt/ratchetai/sandbox-init connect"). Host keys are checked as ever: the
//     session needs a known_hosts file.
func Env(addr, sshProxy string) []string {
	const noProxy = "localhost,127.0.0.1,::1"
	url := "http://" + addr
	env := []string{"NODE_USE_ENV_PROXY=1"}
	for _, v := range [][2]string{
		{"HTTP_PROXY", url}, {"HTTPS_PROXY", url}, {"ALL_PROXY", url}, {"NO_PROXY", noProxy},
	} {
		env = append(env, v[0]+"="+v[1], strings.ToLower(v[0])+"="+v[1])
	}
	if host, port, err := net.SplitHostPort(addr); err == nil {
		env = append(env, fmt.Sprintf("JAVA_TOOL_OPTIONS=-Dhttp.proxyHost=%s -Dhttp.proxyPort=%s"+
			" -Dhttps.proxyHost=%s -Dhttps.proxyPort=%s -Dhttp.nonProxyHosts=localhost|127.*|[::1]"+
			" -Daether.connector.http.useSystemProperties=true", host, port, host, port))
	}
	if sshProxy != "" {
		env = append(env, fmt.Sprintf("GIT_SSH_COMMAND=ssh -o 'ProxyCommand=%s %%h %%p'", sshProxy))
	}
	slices.Sort(env)
	return env
}
