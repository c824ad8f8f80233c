package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"unicode/utf8"
)

// recordDeepMax bounds the nesting inside a guarded path; links can loop.
const recordDeepMax = 12

// ideState is what an open IDE writes all the time. Where it exists, the mount
// keeps the agent from it.
const ideState = ".idea/workspace.xml"

// record adds the fingerprints of name and everything in it. Links are followed
// as far as they stay in the workspace, as the tools of the host follow them.
func (t *taker) record(to *Top, name string, deep int) {
	info, err := t.root.Lstat(name)
	if err != nil || within(name, t.allow) {
		return
	}
	if deep > recordDeepMax {
		t.cutShort("directories are nested too deeply in " + name)
		return
	}
	print := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		target, _ := t.root.Readlink(name)
		print = "link " + printable(target) + " "
		if info, err = t.root.Stat(name); err != nil { // it leads out or nowhere
			t.put(to, name, print)
			return
		}
	}
	switch {
	case info.IsDir():
		if print != "" {
			t.put(to, name, print)
		}
		t.recordDir(to, name, deep)
	case name == ideState:
		t.put(to, name, print+"there")
	case info.Mode().IsRegular():
		t.put(to, name, print+t.fingerprint(name, info))
	default:
		t.put(to, name, print+info.Mode().Type().String())
	}
}

func (t *taker) recordDir(to *Top, name string, deep int) {
	t.list(t.root, name, func(e os.DirEntry) {
		child := path.Join(name, e.Name())
		if path.Base(name) == ".claude" && e.Name() == "worktrees" && e.IsDir() {
			// Claude Code's checkouts of the whole project: a directory as any other.
			t.spawn(&branch{root: t.root, users: 2}, child, child, deep, false)
			return
		}
		t.record(to, child, deep+1)
	})
}

// put notes a fingerprint.
func (t *taker) put(to *Top, name, print string) {
	if t.files.Add(1) > filesMax {
		t.cutShort(fmt.Sprintf("more than %d guarded files", filesMax))
		return
	}
	to.Files[printable(name)] = print
}

// fingerprint tells contents and modes apart. Where there is too much to read it
// makes do with size and time, which somebody can forge, and Cut says so.
func (t *taker) fingerprint(name string, info fs.FileInfo) string {
	mode := info.Mode().Perm().String()
	f, err := openRegular(t.root, name)
	if err != nil {
		return mode + " unreadable"
	}
	defer f.Close()
	if info.Size() > fileMax || t.hashed.Add(info.Size()) > hashedMax {
		t.cutShort("the content of " + name + ", which is too much to read")
		return fmt.Sprintf("%s %d %d", mode, info.Size(), info.ModTime().UnixNano())
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, info.Size()+1)); err != nil {
		return mode + " unreadable"
	}
	return mode + " " + hex.EncodeToString(h.Sum(nil))
}

// printable makes any name one that survives JSON, two names never the same.
func printable(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return strconv.Quote(name)
}
