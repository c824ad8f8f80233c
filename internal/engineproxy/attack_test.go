package engineproxy

import (
	"net/http"
	"strings"
	"testing"
)

// What a runner that somebody else controls would ask the engine for. Nothing of it may
// arrive there.
func TestAttackRequests(t *testing.T) {
	t.Parallel()
	e, socket := setup(t)
	for _, request := range []string{
		"GET /info", "GET /containers/json", "POST /containers/create", "GET /v1.24/info", "POST /v1.12/containers/" + session + "/start", "GET /v2.41/info",
		"GET /v1.41/version", "GET /v1.41/events", "GET /v1.41/system/df", "POST /v1.41/session", "POST /v1.41/grpc", "POST /v1.41/auth",
		"GET /v1.41/containers/json", "GET /v1.41/containers/json?filters={}", `GET /v1.41/containers/json?filters={"label":{}}`,
		`GET /v1.41/containers/json?filters={"label":{"com.docker":true}}`, `GET /v1.41/containers/json?filters={"id":{"a":true},"label":{"ratchetai.session":true}}`,
		"GET /v1.41/containers/" + stranger + "/json", "GET /v1.41/containers/" + unfenced + "/json", "GET /v1.41/containers/" + session + "/logs",
		"GET /v1.41/containers/" + session + "/archive?path=/", "PUT /v1.41/containers/" + session + "/archive?path=/", "GET /v1.41/containers/" + session + "/export",
		"HEAD /v1.41/containers/" + runnerC + "/archive?path=/", "HEAD /v1.41/containers/" + stranger + "/archive?path=/",
		"POST /v1.41/containers/" + session + "/update", "POST /v1.41/containers/" + session + "/rename?name=x", "POST /v1.41/containers/" + session + "/attach/ws",
		"POST /v1.41/containers/" + stranger + "/start", "POST /v1.41/containers/" + looked + "/start", "POST /v1.41/containers/" + runnerC + "/kill",
		"POST /v1.41/containers/" + unfenced + "/attach?stream=1", "POST /v1.41/containers/" + runnerC + "/attach?stream=1",
		"DELETE /v1.41/containers/" + runnerC, "DELETE /v1.41/containers/" + stranger, "POST /v1.41/containers/prune",
		"GET /v1.41/containers/..%2f..%2finfo/json", "GET /v1.41/containers/%2e%2e/json", "GET /v1.41/containers/a%3fb/json", "POST /v1.41/containers/" + session + "%2fstart/wait",
		"POST /v1.41/exec/" + theirExec + "/start", "GET /v1.41/exec/" + theirExec + "/json", "POST /v1.41/exec/x/start",
		"POST /v1.41/images/create?fromSrc=-&repo=debian", "POST /v1.41/images/load", "POST /v1.41/images/debian/tag?repo=x", "POST /v1.41/images/debian/push", "POST /v1.41/commit?container=x",
		"GET /v1.41/images/debian/history", "GET /v1.41/images/../info/json", "GET /v1.41/images/debian%3fx/json", "DELETE /v1.41/images/debian", "DELETE /v1.41/images/sha256:00", "POST /v1.41/images/prune",
		"POST /v1.41/build?t=debian", "POST /v1.41/build", "POST /v1.41/build?t=ratchetai-x&t=debian", "POST /v1.41/build?t=ratchetai-x&networkmode=host", "POST /v1.41/build?t=ratchetai-x&version=2",
		"POST /v1.41/build?t=ratchetai-x&remote=http://x", "POST /v1.41/build?t=ratchetai-x&securityopt=x", "POST /v1.41/build?t=ratchetai-x&cgroupparent=x", "POST /v1.41/build?t=ratchetai-x&extrahosts=x",
		"POST /v1.41/build?t=ratchetai-x&outputs=x", "POST /v1.41/build?t=ratchetai-x&target=a&target=b", "POST /v1.41/build/prune",
		"GET /v1.41/volumes", "POST /v1.41/volumes/create", "GET /v1.41/networks", "POST /v1.41/networks/create", "GET /v1.41/plugins", "POST /v1.41/plugins/pull",
		"POST /v1.41/swarm/init", "GET /v1.41/secrets", "POST /v1.41/services/create", "GET /v1.41/distribution/debian/json", "CONNECT x:1",
	} {
		refused(t, e, socket, request, "")
	}
}

// refused sends a request, which must be refused and not arrive.
func refused(t *testing.T, e *engine, socket, request, body string) {
	t.Helper()
	e.mu.Lock()
	before := len(e.got)
	e.mu.Unlock()
	status, answer := send(t, socket, request, body)
	if status < 300 || status > 499 || strings.Contains(request, "/create") && status != http.StatusForbidden {
		t.Errorf("%s: %s", request, answer)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, got := range e.got[before:] {
		t.Errorf("%s arrived as %s", request, got)
	}
}

// What a container could have that a sandbox has not.
func TestAttackCreate(t *testing.T) {
	t.Parallel()
	e, socket := setup(t)
	type object = map[string]any
	host := func(key string, value any) func(object) {
		return func(c object) { c["HostConfig"].(object)[key] = value }
	}
	config := func(key string, value any) func(object) { return func(c object) { c[key] = value } }
	mounted := func(key string, value any) func(object) {
		return func(c object) { c["HostConfig"].(object)["Mounts"].([]any)[2].(object)[key] = value }
	}
	attacks := map[string]func(object){
		"privileged": host("Privileged", true), "privileged, spelled otherwise": host("privileged", true),
		"bind": host("Binds", []string{"/:/host"}), "bind, spelled otherwise": host("binds", []string{"/:/host"}),
		"volumes from": host("VolumesFrom", []string{"x"}), "volume driver": host("VolumeDriver", "x"),
		"capability": host("CapAdd", []string{"SYS_ADMIN"}), "keep a capability": host("CapDrop", []string{"CHOWN"}), "keep all": host("CapDrop", nil), "keep all, twice": host("capdrop", []string{"CHOWN"}),
		"seccomp": host("SecurityOpt", []string{"no-new-privileges", "seccomp=unconfined"}), "new privileges": host("SecurityOpt", []string{}), "apparmor": host("SecurityOpt", []string{"apparmor=unconfined"}),
		"pid namespace": host("PidMode", "host"), "ipc namespace": host("IpcMode", "host"), "uts namespace": host("UTSMode", "host"), "user namespace": host("UsernsMode", "host"), "cgroup namespace": host("CgroupnsMode", "host"),
		"host network": host("NetworkMode", "host"), "bridge": host("NetworkMode", "bridge"), "another's network": host("NetworkMode", "container:x"), "default network": host("NetworkMode", ""), "network enabled": config("NetworkDisabled", false),
		"port": host("PortBindings", object{"1/tcp": []object{{"HostPort": "1"}}}), "ports": host("PublishAllPorts", true), "link": host("Links", []string{"x"}),
		"device": host("Devices", []object{{"PathOnHost": "/dev/sda"}}), "device rule": host("DeviceCgroupRules", []string{"a *:* rwm"}), "gpu": host("DeviceRequests", []object{{"Count": -1}}),
		"unmasked": host("MaskedPaths", []string{"/x"}), "writable proc": host("ReadonlyPaths", []string{"/x"}), "writable root": host("ReadonlyRootfs", false), "sysctl": host("Sysctls", object{"net.x": "1"}),
		"cgroup parent": host("CgroupParent", "/x"), "group": host("GroupAdd", []string{"docker"}), "oom": host("OomScoreAdj", -1000), "oom kill": host("OomKillDisable", true), "restart": host("RestartPolicy", object{"Name": "always"}),
		"log": host("LogConfig", object{"Type": "syslog", "Config": object{"syslog-address": "tcp://x"}}), "log options": host("LogConfig", object{"Type": "none", "Config": object{"a": "b"}}), "init": host("Init", true), "storage": host("StorageOpt", object{"size": "1"}),
		"id file": host("ContainerIDFile", "/x"), "annotation": host("Annotations", object{"a": "b"}), "runtime path": host("Runtime", "/tmp/x"), "runtime shim": host("Runtime", "io.containerd.x.v1"), "dns": host("Dns", []string{"1.1.1.1"}), "hosts": host("ExtraHosts", []string{"a:1.1.1.1"}),
		"no memory limit": host("Memory", 0), "swap": host("MemorySwap", -1), "no processor limit": host("NanoCpus", 0), "no process limit": host("PidsLimit", -1), "ulimit": host("Ulimits", []object{{"Name": "memlock", "Hard": -1, "Soft": -1}}), "tmpfs": host("Tmpfs", object{"/run": "exec,suid"}), "processors": host("CpusetCpus", "0"), "real time": host("CpuRealtimeRuntime", 1),
		"root": config("User", "0:0"), "root by name": config("User", "root"), "nobody": config("User", ""), "root's group": config("User", "1000:0"), "socket's group": config("User", "1000:999"), "root, spelled otherwise": config("User", "00:1000"), "root by overflow": config("User", "4294967296:1"), "half a user": config("User", "1000"), "another user": config("User", "1001:1001"), "another group": config("User", "1000:1001"), "a third": config("User", "1000:1000:0"),
		"no session": config("Labels", object{}), "no label": config("Labels", nil), "compose's label": config("Labels", object{labelSession: "s", "com.docker.compose.project": "x"}), "the runner's label": config("Labels", object{labelSession: "s", "box": "runner"}), "the proxy's label": config("Labels", object{labelSession: "s", labelProxy: "2"}), "both": config("Labels", object{labelSession: "s", labelLook: ""}), "look that mounts": config("Labels", object{labelLook: ""}),
		"health check": config("Healthcheck", object{"Test": []string{"CMD", "x"}}), "the image's health check": config("Healthcheck", nil), "stop signal": config("StopSignal", "SIGKILL"), "build trigger": config("OnBuild", []string{"x"}), "terminal": config("Tty", true), "stdin": config("OpenStdin", true), "mac": config("MacAddress", "x"),
		"unknown": config("Future", object{"a": 1}), "unknown of the host": host("Future", "x"),
		"mount of the root": mounted("Source", "/"), "of etc": mounted("Source", "/etc"), "beside": mounted("Source", "/srv/projects2"), "above": mounted("Source", "/srv"), "out": mounted("Source", "/srv/projects/../../etc"), "relative": mounted("Source", "srv/projects"), "slash": mounted("Source", "/srv/projects//x"),
		"socket": mounted("Source", "/srv/projects/docker.sock"), "the engine's socket": mounted("Source", "/var/run/docker.sock"), "the proxy's directory": mounted("Source", "/var/lib/docker/volumes/run/_data"), "writable, given to read": func(c object) { mounted("Source", "/srv/given")(c); mounted("ReadOnly", false)(c) }, "a sandbox's mount": mounted("Source", "/etc/x"),
		"volume by name": mounted("Type", "volume"), "tmpfs as mount": mounted("Type", "tmpfs"), "propagation": mounted("BindOptions", object{"Propagation": "shared"}), "volume options": mounted("VolumeOptions", object{"DriverConfig": object{"Options": object{"device": "/"}}}), "no type": mounted("Type", ""), "relative target": mounted("Target", "x"),
	}
	for name, attack := range attacks {
		c := golden(t)
		attack(c)
		t.Run(name, func(t *testing.T) {
			refused(t, e, socket, "POST /v1.41/containers/create?name=ratchetai-x", encode(t, c))
		})
	}
	good := encode(t, golden(t))
	for request, body := range map[string]string{
		"POST /v1.41/containers/create?name=db":                     good,
		"POST /v1.41/containers/create?name=ratchetai-/x":           good,
		"POST /v1.41/containers/create?platform=linux/arm64":        good,
		"POST /v1.41/containers/create?name=ratchetai-a":            good + good,
		"POST /v1.41/containers/create?name=ratchetai-c":            "[" + good + "]",
		"POST /v1.41/containers/create?name=ratchetai-d":            "null",
		"POST /v1.41/containers/create?name=ratchetai-e":            "",
		"POST /v1.41/containers/create?name=ratchetai-f":            good[:len(good)-1] + "," + strings.Repeat(" ", bodyMax) + "}",
		"POST /v1.41/containers/" + session + "/exec?a=1":           `{"Cmd":["x"],"Privileged":true}`,
		"POST /v1.41/containers/" + session + "/exec?a=2":           `{"Cmd":["x"],"User":"0"}`,
		"POST /v1.41/containers/" + session + "/exec?a=3":           `{"Cmd":["x"],"user":"0"}`,
		"POST /v1.41/containers/" + session + "/exec?a=4":           `{"Cmd":["x"],"Env":["A=1"]}`,
		"POST /v1.41/containers/" + stranger + "/exec":              `{"Cmd":["x"]}`,
		"POST /v1.41/containers/" + runnerC + "/exec":               `{"Cmd":["x"]}`,
		"POST /v1.41/containers/" + looked + "/exec":                `{"Cmd":["x"]}`,
		"POST /v1.41/exec/" + ourExec + "/start?create=no":          `{"Detach":true}`,
		"POST /v1.41/containers/create?name=ratchetai-g&name=other": `{}`,
	} {
		refused(t, e, socket, request, body)
	}
}

// What says nothing by itself, or was said and taken back, does not arrive.
func TestAttackDropped(t *testing.T) {
	t.Parallel()
	e, socket := setup(t)
	send(t, socket, "POST /v1.41/containers/create?name=ratchetai-x", encode(t, golden(t)))
	want := e.last()
	for name, more := range map[string]string{
		"twice": `"HostConfig":{"Privileged":true},`, "volume": `"Volumes":{"/x":{}},`, "exposed": `"ExposedPorts":{"1/tcp":{}},`,
		"no masks": `"MaskedPaths":[],`, "network": `"NetworkingConfig":{"EndpointsConfig":{"db":{}}},`, "capabilities": `"capdrop":[],`,
	} {
		body := strings.Replace(encode(t, golden(t)), "{", "{"+more, 1)
		if name == "no masks" || name == "capabilities" {
			body = strings.Replace(encode(t, golden(t)), `"HostConfig":{`, `"HostConfig":{`+more, 1)
		}
		if status, answer := send(t, socket, "POST /v1.41/containers/create?name=ratchetai-x", body); status != http.StatusOK {
			t.Errorf("%s: %s", name, answer)
		}
		if e.last() != want {
			t.Errorf("%s arrived as %s", name, e.last())
		}
	}
}
