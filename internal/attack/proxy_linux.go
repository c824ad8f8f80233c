package attack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// answerMax bounds the wait for the proxy; nothing here leaves the machine.
const answerMax = 6 * time.Second

// ask sends raw bytes to the egress proxy and returns what comes back, until
// done says that it is enough, the connection ends or answerMax is over. It never
// ends its own side: a proxy may take that for a client that has gone.
func ask(request string, done func([]byte) bool) (string, error) {
	c, err := net.DialTimeout("tcp", pid1.ProxyAddr, answerMax)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(answerMax))
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	var data []byte
	buf := make([]byte, 16<<10)
	for len(data) < 256<<10 {
		n, err := c.Read(buf)
		data = append(data, buf[:n]...)
		switch {
		case done(data), err != nil && len(data) > 0:
			return string(data), nil
		case err != nil:
			return "", err
		}
	}
	return string(data), nil
}

// oneAnswer is enough when data holds a whole answer of HTTP.
func oneAnswer(data []byte) bool {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.ContentLength < 0 { // until the end, or the 200 of a tunnel
		return resp.StatusCode == http.StatusOK
	}
	_, err = io.ReadAll(resp.Body)
	return err == nil
}

// fromSink is enough when a server has answered, or nobody will.
func fromSink(data []byte) bool {
	return bytes.Contains(data, []byte(sinkEnd)) || !bytes.HasPrefix(data, []byte("HTTP/1.1 200")) && oneAnswer(data)
}

// connect and get are a client's two requests.
func connect(target string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"
}

func get(url, host string) string {
	return "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
}

// refused holds if the proxy itself refuses every one of requests. No answer at
// all is no refusal.
func refused(requests ...string) verdict {
	var all []verdict
	for _, r := range requests {
		line, _, _ := strings.Cut(r, "\r\n")
		answer, err := ask(r, oneAnswer)
		if err != nil {
			all = append(all, broken("%.80q: no answer: %v", line, err))
			continue
		}
		all = append(all, judge(line, answer))
	}
	return every(all...)
}

func judge(line, answer string) verdict {
	status, _, _ := strings.Cut(answer, "\r\n")
	switch {
	case strings.Contains(answer, sinkMark):
		return broken("%.80q reached an allowed server", line)
	case strings.Contains(answer, baitMark):
		return broken("%.80q reached a port of the host", line)
	case strings.HasPrefix(status, "HTTP/1.1 403") && strings.Contains(answer, "X-Ratchetai-Egress: denied"):
		return held("%.60q: 403 by the proxy", line)
	case strings.HasPrefix(status, "HTTP/1.1 400"), strings.HasPrefix(status, "HTTP/1.1 505"), strings.HasPrefix(status, "HTTP/1.1 501"):
		return held("%.60q: %s", line, strings.TrimPrefix(status, "HTTP/1.1 "))
	}
	return broken("%.80q: not a refusal: %.60q", line, status)
}

// both asks for each host as a tunnel and as plain http.
func both(n int, hosts ...string) verdict {
	var requests []string
	for _, h := range hosts {
		target := port(h, n)
		requests = append(requests, connect(target), get("http://"+target+"/", target))
	}
	return refused(requests...)
}

// controls prove that the sandbox lives: they hold when they work.
func controls() []attempt {
	return []attempt{
		{"control-allowed", "an allowed host answers, by CONNECT and by plain http", func(in *inside) verdict {
			own := port("host.ratchet.internal", in.AllowedPort)
			return every(reaches(connect(allowed+":443")+"?"), reaches(get("http://"+allowed+"/", allowed)),
				reaches(get("http://"+own+"/", own)))
		}},
		{"control-workspace", "the workspace and the home can be written", func(*inside) verdict {
			for _, dir := range []string{"/workspace", os.Getenv("HOME"), "/tmp", "/dev/shm"} {
				if err := os.WriteFile(dir+"/selftest-wrote", []byte("x"), 0o600); err != nil {
					return broken("%v", err)
				}
			}
			return held("written")
		}},
		{"control-login", "the agent's access token can be read", func(*inside) verdict {
			data, err := os.ReadFile(loginFile())
			if err != nil || !strings.Contains(string(data), accessToken()) {
				return broken("not in %s: %v", loginFile(), err)
			}
			return held("read")
		}},
	}
}

func loginFile() string { return os.Getenv("HOME") + "/.claude/.credentials.json" }

func reaches(request string) verdict {
	line, _, _ := strings.Cut(request, "\r\n")
	answer, err := ask(request, fromSink)
	if !strings.Contains(answer, sinkMark) {
		return broken("%q: %.100q %v", line, answer, err)
	}
	return held("%q answered", line)
}

// tunnel opens a CONNECT tunnel to target, sends pieces into it with a pause
// between them, and returns what came back.
func tunnel(target string, pieces ...[]byte) (string, error) {
	c, err := net.DialTimeout("tcp", pid1.ProxyAddr, answerMax)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(answerMax))
	if _, err := io.WriteString(c, connect(target)); err != nil {
		return "", err
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
		return "", fmt.Errorf("no tunnel: %.60q", buf[:n])
	}
	for _, p := range pieces {
		if _, err := c.Write(p); err != nil {
			break // ended already; what it said counts
		}
		time.Sleep(2 * time.Millisecond)
	}
	data, err := io.ReadAll(io.LimitReader(c, 64<<10))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return string(data), err
	}
	return string(data), nil
}
