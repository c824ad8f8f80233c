package attack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bombs use up what they can get. Their sandbox has smaller limits than a
// session's, so that they are quick and a missing limit hurts nobody.
func bombs() []attempt {
	return []attempt{
		{"bomb-processes", "fork until nothing forks", forkBomb},
		{"bomb-memory", "allocate until killed", memoryBomb},
		{"bomb-tmp", "fill /tmp, which is memory", func(*inside) verdict { return fill("/tmp", bombLimits().TmpBytes) }},
		{"bomb-shm", "fill /dev/shm, which is memory", func(*inside) verdict { return fill("/dev/shm", bombLimits().ShmBytes) }},
		{"bomb-files", "open files until none opens", filesBomb},
		{"bomb-processor", "use all processors", processorBomb},
		{"bomb-survived", "after all this, PID 1 and the proxy still serve", func(*inside) verdict {
			return reaches(get("http://"+allowed+"/", allowed))
		}},
	}
}

// forkBomb makes children that do nothing but one system call.
func forkBomb(*inside) verdict {
	reserveThreads(12)
	limit := int(bombLimits().Processes)
	var born []int
	var errno syscall.Errno
	for len(born) <= 4*limit {
		var pid uintptr
		pid, _, errno = syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		if errno != 0 {
			break
		}
		if pid == 0 {
			for {
				_, _, _ = syscall.RawSyscall(unix.SYS_PPOLL, 0, 0, 0) // waits for ever
			}
		}
		born = append(born, int(pid))
	}
	for _, pid := range born {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pid := range born {
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
	if len(born) >= limit {
		return broken("%d processes with a limit of %d", len(born), limit)
	}
	return denied(fmt.Sprintf("process %d of %d", len(born)+1, limit), asError(errno), unix.EAGAIN)
}

// reserveThreads makes the runtime create n threads while it can.
func reserveThreads(n int) {
	var locked, released sync.WaitGroup
	enough := make(chan struct{})
	locked.Add(n)
	for range n {
		released.Go(func() {
			runtime.LockOSThread()
			locked.Done()
			<-enough
			runtime.UnlockOSThread()
		})
	}
	locked.Wait()
	close(enough)
	released.Wait()
}

// memoryBomb lets a child do it, whom the kernel picks because it is the largest.
func memoryBomb(*inside) verdict {
	out, err := exec.Command("/proc/self/exe", Subcommand, "hog", "{}").Output()
	text := strings.TrimSpace(string(out))
	text = text[strings.LastIndexByte(text, '\n')+1:]
	var exit *exec.ExitError
	switch {
	case text == "over":
		return broken("more than the limit of %d MiB", bombLimits().MemoryBytes>>20)
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return held("killed at %s MiB of %d", text, bombLimits().MemoryBytes>>20)
	}
	return broken("not the expected end: %v, %q", err, text)
}

// hog is the child: it prints the MiB that it has, and "over" above the limit.
func hog() int {
	var all [][]byte
	for n := int64(8); n <= bombLimits().MemoryBytes>>20+64; n += 8 {
		block := make([]byte, 8<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		all = append(all, block)
		fmt.Println(n)
	}
	fmt.Println("over")
	runtime.KeepAlive(all)
	return 0
}

func fill(dir string, limit int64) verdict {
	f, err := os.CreateTemp(dir, "bomb")
	if err != nil {
		return broken("%v", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 1<<20)
	var n int64
	for n <= limit && err == nil {
		var m int
		m, err = f.Write(block)
		n += int64(m)
	}
	return denied(fmt.Sprintf("write beyond %d of %d MiB", n>>20, limit>>20), err, unix.ENOSPC)
}

func filesBomb(*inside) verdict {
	var all []*os.File
	defer func() {
		for _, f := range all {
			f.Close()
		}
	}()
	for len(all) <= 2*int(bombLimits().OpenFiles) {
		f, err := os.Open("/dev/null")
		if err != nil {
			return denied(fmt.Sprintf("file %d of %d", len(all)+1, bombLimits().OpenFiles), err, unix.EMFILE)
		}
		all = append(all, f)
	}
	return broken("%d open files with a limit of %d", len(all), bombLimits().OpenFiles)
}

// processorBomb spins on four threads for a second.
func processorBomb(*inside) verdict {
	before := cpuTime()
	start := time.Now()
	var spinners sync.WaitGroup
	for range 4 {
		spinners.Go(func() {
			for time.Since(start) < time.Second {
				continue // spinning is the point
			}
		})
	}
	spinners.Wait()
	share := (cpuTime() - before).Seconds() / time.Since(start).Seconds()
	if share > bombLimits().CPUs+0.3 {
		return broken("%.2f processors with a limit of %.1f", share, bombLimits().CPUs)
	}
	return held("%.2f processors with a limit of %.1f", share, bombLimits().CPUs)
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
