package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// Bounds of a request.
const (
	bodyTime  = 30 * time.Second // from the header to the body's end, unless it is an artifact
	writeTime = 30 * time.Second // for an answer, or one piece of a stream
	bodyMax   = 5 << 20          // bytes: a prompt with the rest of its task
	formMax   = 64 << 10         // bytes: what somebody may send who is not known yet
	pageMax   = 1000             // entries of a list
)

// call is one request.
type call struct {
	w  http.ResponseWriter
	r  *http.Request
	by store.Caller
}

func (c *call) ctx() context.Context { return c.r.Context() }

// who is the caller in words, for the record.
func (c *call) who() string {
	switch {
	case c.by.Kind == store.DeviceToken:
		return "device " + c.by.Name
	case c.by.User != "":
		return c.by.User
	}
	return "nobody"
}

// limitTime bounds how long the request's body may take, and the answer's beginning,
// which may be held for api.WaitMax.
func (s *Server) limitTime(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if r.Body != http.NoBody {
		_ = rc.SetReadDeadline(time.Now().Add(s.bodyTime))
	}
	_ = rc.SetWriteDeadline(time.Now().Add(api.WaitMax + 2*writeTime))
}

// bodyRead takes the time limit of the body away: what is read from then on tells
// only that the caller is gone.
func (c *call) bodyRead() {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
}

// decode reads a JSON body of at most limit bytes.
func (c *call) decode(v any, limit int64) error {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	c.bodyRead()
	aside(func() { err = decodeJSON(data, v) })
	return err
}

// aside runs do on a stack of its own. What calls deep would otherwise leave a large one
// to each connection, for as long as a poll is held on it.
func aside(do func()) {
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	<-done
}

// decodeJSON is strict in form only: fields that it does not know are a newer version's.
func decodeJSON(data []byte, v any) error {
	var kind *json.UnmarshalTypeError
	switch err := json.Unmarshal(data, v); {
	case errors.As(err, &kind) && kind.Field != "":
		return invalid(fmt.Sprintf("the body's field %s cannot be a %s", kind.Field, kind.Value))
	case err != nil:
		return invalid("the body is no JSON: " + err.Error())
	}
	return nil
}

// page is how much of a list is asked for.
func (c *call) page() (limit int, before string, err error) {
	q := c.r.URL.Query()
	limit = 100
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > pageMax {
			return 0, "", invalid(fmt.Sprintf("limit %q is not between 1 and %d", text, pageMax))
		}
	}
	return limit, q.Get("before"), nil
}

// number is a number of the query; without one it is 0.
func (c *call) number(name string) (uint64, error) {
	text := c.r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, invalid(fmt.Sprintf("%s=%q is no number", name, text))
	}
	return n, nil
}

// address is where the request comes from, which a proxy on this machine or in a
// private network says of others.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.Unmap().IsLoopback() && !peer.Unmap().IsPrivate() {
		return host
	}
	// The last entry is the nearest proxy's; those before it anybody could have sent.
	all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if said, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil {
		return said.Unmap().String()
	}
	return host
}

// audit records what the caller did. What was done stays done if that fails.
func (s *Server) audit(c *call, action, target, detail string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), 10*time.Second)
	defer cancel()
	e := api.AuditEntry{Time: s.now(), Actor: c.who(), Action: action, Target: target, Detail: detail, From: address(c.r)}
	log := s.log.WithFields(map[string]any{"actor": e.Actor, "action": action, "target": target})
	if err := s.store.Record(ctx, e); err != nil {
		log.WithError(err).Error("audit entry lost")
		return
	}
	log.Info("recorded")
}
