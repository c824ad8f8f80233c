package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// HeaderKey makes a request that creates something repeatable: the second with the
// same key answers what the first made.
const HeaderKey = "Idempotency-Key"

// The methods in this file are calls of people and scripts. An id may be the
// beginning or the end of one, if only one thing has it. Errors are those of Do.

// Page selects what a list returns, newest first.
type Page struct {
	State  string // of tasks; empty: all
	Limit  int    // 0: as many as the control plane likes
	Before string // cursor: Next of the page before
}

func (p Page) query() string {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" && value != "0" {
			q.Set(key, value)
		}
	}
	set("state", p.State)
	set("limit", strconv.Itoa(p.Limit))
	set("before", p.Before)
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// under is a path below a collection; the id is somebody's input.
func under(collection, id string, more ...string) string {
	switch id {
	case "", ".", "..": // another path otherwise
		id = strconv.Quote(id)
	}
	path := "/api/v1/" + collection + "/" + url.PathEscape(id)
	for _, m := range more {
		path += "/" + m
	}
	return path
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.Do(ctx, method, path, in, &out)
	return out, err
}

// repeatMax is how often something is tried that counts once.
const repeatMax = 3

// repeat tries what counts once again when its answer was lost or the control plane had no
// time. Where nothing listens, it does not wait.
func repeat[T any](ctx context.Context, try func() (T, error)) (T, error) {
	for failures := 1; ; failures++ {
		out, err := try()
		if err == nil || failures == repeatMax || !Transient(err) || errors.Is(err, syscall.ECONNREFUSED) || !sleep(ctx, pause(failures)) {
			return out, err
		}
	}
}

// AddTask queues a task. With a key, of the caller's choice, it counts once, and is tried
// again when the answer was lost; without one ("") neither.
func (c *Client) AddTask(ctx context.Context, spec task.Spec, key string) (task.Task, error) {
	if key == "" {
		return c.addTask(ctx, spec, "")
	}
	return repeat(ctx, func() (task.Task, error) { return c.addTask(ctx, spec, key) })
}

func (c *Client) addTask(ctx context.Context, spec task.Spec, key string) (t task.Task, err error) {
	body, err := json.Marshal(spec)
	if err != nil {
		return t, fmt.Errorf("task: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, HeaderKey: {key}}
	resp, err := c.Send(ctx, http.MethodPost, "/api/v1/tasks", header, bytes.NewReader(body))
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(&t); err != nil {
		return t, fmt.Errorf("task: the answer is cut or no JSON: %w", err)
	}
	return t, nil
}

// Tasks lists tasks.
func (c *Client) Tasks(ctx context.Context, p Page) (Tasks, error) {
	return call[Tasks](ctx, c, http.MethodGet, "/api/v1/tasks"+p.query(), nil)
}

// Task returns a task with its sessions, newest first.
func (c *Client) Task(ctx context.Context, id string) (TaskDetail, error) {
	return call[TaskDetail](ctx, c, http.MethodGet, under("tasks", id), nil)
}

// CancelTask ends a task; one that runs is ended by its runner a little later.
func (c *Client) CancelTask(ctx context.Context, id string) (task.Task, error) {
	return call[task.Task](ctx, c, http.MethodPost, under("tasks", id, "cancel"), nil)
}

// RetryTask queues a finished task again.
func (c *Client) RetryTask(ctx context.Context, id string) (task.Task, error) {
	return call[task.Task](ctx, c, http.MethodPost, under("tasks", id, "retry"), nil)
}

// Session returns one session.
func (c *Client) Session(ctx context.Context, id string) (task.Session, error) {
	return call[task.Session](ctx, c, http.MethodGet, under("sessions", id), nil)
}

// Command sends a command, which has an ID, into a session. It tries again as AddTask does.
func (c *Client) Command(ctx context.Context, session string, n NewCommand) (Command, error) {
	return repeat(ctx, func() (Command, error) {
		return call[Command](ctx, c, http.MethodPost, under("sessions", session, "commands"), n)
	})
}

// Inbox lists what needs a person, oldest first.
func (c *Client) Inbox(ctx context.Context) (Inbox, error) {
	return call[Inbox](ctx, c, http.MethodGet, "/api/v1/inbox", nil)
}

// Dismiss removes an outcome from the inbox.
func (c *Client) Dismiss(ctx context.Context, item string) error {
	return c.Do(ctx, http.MethodPost, under("inbox", item, "dismiss"), nil, nil)
}

// Runners lists the runners that ever connected and were not removed.
func (c *Client) Runners(ctx context.Context) (Runners, error) {
	return call[Runners](ctx, c, http.MethodGet, "/api/v1/runners", nil)
}

// RemoveRunner forgets a runner that has no open session.
func (c *Client) RemoveRunner(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, under("runners", id), nil, nil)
}

// Kinds of tokens, as the collections that they are in.
const (
	Devices  = "devices" // rt_…, a runner's
	Personal = "tokens"  // rp_…, a person's
)

// Tokens lists the tokens of a kind, newest first.
func (c *Client) Tokens(ctx context.Context, kind string) (Tokens, error) {
	return call[Tokens](ctx, c, http.MethodGet, "/api/v1/"+kind, nil)
}

// AddToken makes a token; the answer is the only place that ever has its secret.
func (c *Client) AddToken(ctx context.Context, kind string, n NewToken) (CreatedToken, error) {
	return call[CreatedToken](ctx, c, http.MethodPost, "/api/v1/"+kind, n)
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, kind, id string) error {
	return c.Do(ctx, http.MethodDelete, under(kind, id), nil, nil)
}

// Audit lists who did what.
func (c *Client) Audit(ctx context.Context, p Page) (Audit, error) {
	return call[Audit](ctx, c, http.MethodGet, "/api/v1/audit"+p.query(), nil)
}

// Me says who the caller is to the control plane.
func (c *Client) Me(ctx context.Context) (Me, error) {
	return call[Me](ctx, c, http.MethodGet, "/api/v1/me", nil)
}
