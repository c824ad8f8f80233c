package runner

import (
	"fmt"
	"net"

	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// egressMax bounds the egress events of a session: an agent can make any number
// of attempts.
const egressMax = 5000

// proxy returns what serves the connections of s, and journals each attempt.
func (s *Session) proxy(allowed egress.Policy) func(net.Conn) {
	attempts := make(chan event.Data, 256)
	go func() {
		for n := 1; ; n++ {
			select {
			case a := <-attempts:
				switch {
				case n < egressMax:
					s.emit(a)
				case n == egressMax:
					s.emit(event.Notice{Kind: "warning", Text: fmt.Sprintf("more than %d egress attempts: the rest is not recorded", egressMax)})
				}
			case <-s.ctx.Done():
				return
			}
		}
	}()
	p := egress.New(egress.Config{
		Policy: allowed, Permitted: s.Permit, Upstream: s.runner.Upstream,
		Resolver: s.runner.Resolver, Dial: s.runner.Dial,
		Log: func(a egress.Attempt) {
			select {
			case attempts <- attemptEvent(a):
			case <-s.ctx.Done():
			}
		},
	})
	return func(c net.Conn) { p.ServeConn(s.ctx, c) }
}

func attemptEvent(a egress.Attempt) event.Data {
	if a.Verdict == egress.Allowed {
		return event.EgressAllowed{Host: a.Host, Port: a.Port, Method: a.Method}
	}
	return event.EgressDenied{Host: a.Host, Port: a.Port, Method: a.Method, Reason: a.Reason}
}
