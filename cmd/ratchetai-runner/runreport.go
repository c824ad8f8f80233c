package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// reportMax is how long the end of run waits for a control plane that is away.
const reportMax = 30 * time.Second

// planeFlags name the control plane that a session is reported to.
type planeFlags struct{ url, token string }

// reporting returns a client for the control plane that run reports to; nil: none. insisted
// says that the command line names one. The variables of people's commands name one without a
// device token, which is not for run.
func (a *app) reporting(f planeFlags, insisted bool) (*api.Client, error) {
	address, token := cmp.Or(f.url, a.getenv("RATCHET_URL")), cmp.Or(f.token, a.getenv("RATCHET_DEVICE_TOKEN"))
	device := strings.HasPrefix(token, "rt_")
	switch {
	case insisted && !device:
		return nil, errors.New("--url: run reports with a device token, rt_…: give it with RATCHET_DEVICE_TOKEN or --token")
	case address == "" || !device:
		return nil, nil
	}
	return a.planeClient(address, token)
}

// reportSession reports s, if somebody wants it. The function that it returns waits for the
// rest, within bounds.
func (a *app) reportSession(ctx context.Context, client *api.Client, w *watch, s *runner.Session, t runner.Task) (finish func()) {
	if client == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	host, _ := os.Hostname()
	single, err := connect.Report(ctx, connect.Config{
		Client: client, Runner: a.runner(w.store, nil), Log: a.log, Say: w.say, Name: cmp.Or(host, "runner"), Version: version,
	}, s, task.Spec{
		Title: s.Title, Prompt: t.Prompt, Agent: string(t.Kind), Model: t.Model, Workspace: filepath.Base(t.Workspace),
		TimeoutMS: t.Timeout.Milliseconds(),
	})
	if err != nil {
		cancel()
		w.say("the session is not reported: " + err.Error())
		return func() {}
	}
	return func() {
		defer client.Close()
		defer cancel()
		err := single.Wait(reportMax, func() {
			fmt.Fprintf(a.Err, "%s: waiting up to %s for %s to take the rest of the session\n", name, reportMax, client.URL())
		})
		if err != nil {
			a.log.WithError(err).Warn("the control plane does not have all of the session")
		}
	}
}
