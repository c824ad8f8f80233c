package egress

import (
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnv(t *testing.T) {
	t.Parallel()
	want := []string{
		"ALL_PROXY=http://127.0.0.1:3128",
		"GIT_SSH_COMMAND=ssh -o 'ProxyCommand=/opt/ratchetai/sandbox-init connect %h %p'",
		"HTTPS_PROXY=http://127.0.0.1:3128",
		"HTTP_PROXY=http://127.0.0.1:3128",
		"JAVA_TOOL_OPTIONS=-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 -Dhttps.proxyHost=127.0.0.1" +
			" -Dhttps.proxyPort=3128 -Dhttp.nonProxyHosts=localhost|127.*|[::1] -Daether.connector.http.useSystemProperties=true",
		"NODE_USE_ENV_PROXY=1",
		"NO_PROXY=localhost,127.0.0.1,::1",
		"all_proxy=http://127.0.0.1:3128",
		"http_proxy=http://127.0.0.1:3128",
		"https_proxy=http://127.0.0.1:3128",
		"no_proxy=localhost,127.0.0.1,::1",
	}
	got := Env("127.0.0.1:3128", "/opt/ratchetai/sandbox-init connect")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.IsSorted(got) {
		t.Error("not sorted")
	}
	if n := len(Env("127.0.0.1:3128", "")); n != len(want)-1 {
		t.Errorf("%d variables without ssh", n)
	}
}

// TestEnvSSHCommand: the shell that git starts sees the proxy command as one option.
func TestEnvSSHCommand(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a POSIX shell")
	}
	script := `ssh() { for a in "$@"; do printf '<%s>' "$a"; done; }; eval "$(printf '%s' "$GIT_SSH_COMMAND") github.com"`
	cmd := exec.CommandContext(t.Context(), sh, "-c", script)
	cmd.Env = Env("127.0.0.1:3128", "/x/runner connect")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "<-o><ProxyCommand=/x/runner connect %h %p><github.com>" {
		t.Errorf("%s, %v", out, err)
	}
}
