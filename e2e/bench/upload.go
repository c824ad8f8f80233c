package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// attempt is a session of a device, for which events are made up.
type attempt struct {
	device  *device
	lease   api.Lease
	seq     uint64
	body    []byte
	watched bool
}

// attempts has n sessions running, each at the device with its number modulo the devices;
// stop ends the devices.
func (p *plane) attempts(ctx context.Context, devices, n int) (all []*attempt, stop func(), err error) {
	list, err := p.devices(ctx, devices, (n+devices-1)/devices)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	there := make(chan struct{})
	stop, err = connectAll(ctx, list, func(d *device, l api.Lease) {
		mu.Lock()
		defer mu.Unlock()
		if all = append(all, &attempt{device: d, lease: l}); len(all) == n {
			close(there)
		}
	})
	if err == nil {
		err = p.addTasks(ctx, n)
	}
	if err == nil {
		select {
		case <-there:
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(30 * time.Second):
			mu.Lock()
			err = fmt.Errorf("%d of %d tasks have a runner", len(all), n)
			mu.Unlock()
		}
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return all, stop, nil
}

func (p *plane) addTasks(ctx context.Context, n int) error {
	errs := make([]error, n)
	at(n, 32, func(i int) { _, errs[i] = p.owner.AddTask(ctx, task.Spec{Prompt: "fix the failing test"}, "") })
	return errors.Join(errs...)
}

// eventLine is what Claude Code's line becomes, of 200 bytes, with what is ours around it.
func (a *attempt) eventLine(dst []byte, now time.Time) []byte {
	a.seq++
	dst = append(dst, `{"v":1,"session":"`...)
	dst = append(dst, a.lease.Session...)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, a.seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = now.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, `","type":"message.delta","data":{"id":"msg_01","text":"the quick brown fox "},`+
		`"raw":{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"the quick brown fox "}},"session_id":"aa75db7b-2859-402a-b5ff-09cec6cd2c2b"}}`+"\n"...)
}

// send uploads the next n events, which happen now.
func (a *attempt) send(ctx context.Context, n int) error {
	first := a.seq + 1
	a.body = a.body[:0]
	for now := time.Now(); n > 0; n-- {
		a.body = a.eventLine(a.body, now)
	}
	return a.upload(ctx, first)
}

// upload sends what is in a.body.
func (a *attempt) upload(ctx context.Context, first uint64) error {
	acked, err := a.device.client.Upload(ctx, a.lease.Session, a.lease.Token, first, a.body)
	if err == nil && acked.Acked != a.seq {
		err = fmt.Errorf("event %d is acknowledged instead of %d", acked.Acked, a.seq)
	}
	return err
}

// finish uploads the session's last event.
func (a *attempt) finish(ctx context.Context) error {
	a.seq++
	a.body = fmt.Appendf(a.body[:0], `{"v":1,"session":%q,"seq":%d,"time":%q,"type":"session.finished","data":{"outcome":"succeeded"}}`+"\n",
		a.lease.Session, a.seq, time.Now().UTC().Format(time.RFC3339Nano))
	return a.upload(ctx, a.seq)
}
