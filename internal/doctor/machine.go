package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	diskWarn = 5 << 30 // bytes left
	diskFail = 1 << 30
	caMax    = 8 << 20 // bytes of a bundle
)

// state looks at the directory of the sessions, which hold transcripts and, while
// they run, tokens.
func state(_ context.Context, o Options) []Finding {
	f := Finding{Check: "state", Level: OK, What: o.State}
	info, err := os.Stat(o.State)
	if errors.Is(err, fs.ErrNotExist) {
		f.What += " is not there yet; the first session makes it"
		if parent := existing(o.State); unix.Access(parent, unix.W_OK) != nil {
			f.Level, f.What, f.Remedy = Fail, o.State+" cannot be made: "+parent+" is not writable", "set RATCHETAI_STATE_DIR to a directory of yours"
		}
		return []Finding{f}
	}
	switch {
	case err != nil:
		f.Level, f.What, f.Remedy = Fail, err.Error(), "set RATCHETAI_STATE_DIR to a directory of yours"
	case !info.IsDir():
		f.Level, f.What, f.Remedy = Fail, o.State+" is no directory", "remove it, or set RATCHETAI_STATE_DIR"
	case unix.Access(o.State, unix.W_OK|unix.X_OK) != nil:
		f.Level, f.What, f.Remedy = Fail, o.State+" is not writable", "chown it to this user, or set RATCHETAI_STATE_DIR"
	case ownedByOther(info):
		f.Level, f.What, f.Remedy = Fail, o.State+" belongs to another user, who can read all sessions", "chown it to this user, or set RATCHETAI_STATE_DIR"
	case info.Mode().Perm()&0o022 != 0:
		f.Level, f.What, f.Remedy = Fail, fmt.Sprintf("%s can be written by others (%s)", o.State, info.Mode()), "chmod 700 "+o.State
	case info.Mode().Perm()&0o055 != 0:
		f.Level, f.What, f.Remedy = Warn, fmt.Sprintf("%s can be read by others (%s)", o.State, info.Mode()), "chmod 700 "+o.State
	}
	return []Finding{f}
}

// existing is dir or the nearest directory above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func ownedByOther(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) != os.Geteuid()
}

func stateDisk(_ context.Context, o Options) []Finding {
	return disk("disk", existing(o.State), "ratchetai-runner sessions rm --all-finished")
}

// engineDisk looks at the engine's directory where it is on this machine.
func engineDisk(i sandbox.EngineInfo) []Finding {
	if _, err := os.Stat(i.Root); i.Root == "" || err != nil {
		return nil
	}
	return disk("engine disk", i.Root, "docker system df shows what can go")
}

func disk(name, dir, remedy string) []Finding {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return []Finding{{name, Warn, fmt.Sprintf("%s: %v", dir, err), "see whether the disk works"}}
	}
	return []Finding{judgeDisk(name, dir, remedy, int64(s.Bavail*uint64(s.Bsize)))}
}

func judgeDisk(name, dir, remedy string, left int64) Finding {
	f := Finding{name, OK, fmt.Sprintf("%s free at %s", size(left), dir), ""}
	if left < diskWarn {
		f.Level, f.Remedy = Warn, remedy
	}
	if left < diskFail {
		f.Level = Fail
	}
	return f
}

// sessions finds those whose runner is gone.
func sessions(_ context.Context, o Options) []Finding {
	if _, err := os.Stat(filepath.Join(o.State, "sessions")); err != nil {
		return nil
	}
	store, err := runner.OpenStore(o.State)
	if err != nil {
		return []Finding{{"sessions", Fail, err.Error(), "see the message"}}
	}
	all, err := store.List()
	if err != nil {
		return []Finding{{"sessions", Fail, err.Error(), "see the message"}}
	}
	orphan, orphans, running := "", 0, 0
	for _, s := range all {
		switch s.State {
		case runner.Orphaned:
			orphan = s.ID
			orphans++
		case runner.Running:
			running++
		}
	}
	f := Finding{"sessions", OK, fmt.Sprintf("%d, of which %d run", len(all), running), ""}
	if orphans > 0 {
		f.Level = Warn
		f.What += fmt.Sprintf(" and %d have lost their runner", orphans)
		f.Remedy = "ratchetai-runner attach " + orphan
	}
	return []Finding{f}
}

// certificates looks at the CA certificates that sessions and image builds get.
func certificates(_ context.Context, o Options) []Finding {
	named := o.Getenv("SSL_CERT_FILE")
	file := runner.SystemCA(o.Getenv)
	f := Finding{Check: "CA", Level: OK}
	data, err := readCertificates(file)
	n := 0
	for rest := data; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			n++
		}
	}
	f.What = fmt.Sprintf("%d certificates in %s", n, file)
	switch {
	case named != "" && file != named:
		f.Level, f.What, f.Remedy = Fail, "SSL_CERT_FILE names no file: "+named, "correct it, or unset it"
	case file == "":
		f.Level, f.What, f.Remedy = Warn, "this machine has no CA certificates; images have their own", "install ca-certificates, if the network inspects TLS"
	case err != nil:
		f.Level, f.What, f.Remedy = Fail, err.Error(), "make it readable"
	case n == 0:
		f.Level, f.Remedy = Fail, "name a file of PEM certificates in SSL_CERT_FILE"
	}
	return []Finding{f}
}

func readCertificates(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > caMax {
		err = fmt.Errorf("%s is larger than %d bytes", file, caMax)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// programClock finds a clock that is behind: this program cannot be from the
// future.
func programClock(_ context.Context, o Options) []Finding {
	info, err := os.Stat(o.Builder.Program)
	if err != nil || info.ModTime().Before(o.Now().Add(time.Minute)) {
		return nil
	}
	return []Finding{{"clock", Warn, fmt.Sprintf("this program's file is from %s, the clock says %s", info.ModTime().UTC().Format(time.DateTime), o.Now().UTC().Format(time.DateTime)),
		"set this machine's clock: logins and deadlines go by it"}}
}
