package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// step is something that happens; what A, B and C mean depends on it.
type step struct{ Kind, A, B, C int }

// Whatever happens to runners, answers and the control plane: no task is held twice, no
// workspace is used twice at a time, no finished work is done again, and once everything is
// connected, every task reaches an outcome.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 100, 200).Draw(rt, "steps")
		var problems []string
		synctest.Test(t, func(t *testing.T) { problems = play(t, steps) })
		if len(problems) > 0 {
			rt.Fatalf("%s", problems[0])
		}
	})
}

// drawStep mixes what rapid draws, which prefers small numbers.
func drawStep(rt *rapid.T) step {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "step"), 1))
	return step{Kind: r.IntN(100), A: r.IntN(100), B: r.IntN(100), C: r.IntN(100)}
}

// recorder collects what the fake store complains about.
type recorder struct {
	testing.TB
	problems []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// world is runners whose agents really work, as far as the test goes.
type world struct {
	*recorder
	r     *rig
	boxes []*machine
	ids   []string
	final map[string]int // offers of each task when it was finished

	mu      sync.Mutex
	answers []func() // of held polls, not heard yet
}

type machine struct {
	*box
	work    map[string]*work
	old     api.Sync // a report from before
	contact time.Time
	n       int
	picky   int
}

// work is a session on its machine.
type work struct {
	lease     api.Lease
	state     task.SessionState
	workspace api.Workspace
	outcome   event.Outcome
}

func (w *work) agent() bool { return w.state == task.Accepted || w.state == task.Active }

func play(t *testing.T, steps []step) []string {
	rec := &recorder{TB: t}
	db := newFake(rec)
	r := &rig{t: t, db: db, fake: db, seen: &counts{}}
	r.start()
	defer func() { r.stop() }()
	w := &world{recorder: rec, r: r, final: map[string]int{}}
	for _, b := range []*box{r.box("a", 2, "shop", "blog"), r.box("b", 1, "shop"), r.box("c", 3, "shop", "blog")} {
		b.LostAfterMS = (2 * time.Minute).Milliseconds()
		w.boxes = append(w.boxes, &machine{box: b, work: map[string]*work{}, contact: time.Now()})
	}
	w.boxes[2].Workspaces[0].Shared = true
	for i, s := range steps {
		w.step(s)
		w.hear()
		if w.check(); len(w.problems) > 0 {
			return []string{fmt.Sprintf("step %d %+v: %s", i, s, w.problems[0])}
		}
	}
	w.settle()
	return w.problems
}

func (w *world) step(s step) {
	m := w.boxes[s.A%len(w.boxes)]
	switch k := s.Kind; {
	case k < 20:
		w.add(s)
	case k < 45:
		w.sync(m, s.C%2 == 0, s.B%4 == 0)
	case k < 70:
		w.advance(m, s.B, s.C)
	case k < 78:
		d := []time.Duration{time.Second, 10 * time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute}[s.B%5]
		if s.C%2 == 0 {
			time.Sleep(d)
		}
		for end := time.Now().Add(d); s.C%2 == 1 && time.Now().Before(end); time.Sleep(d / 10) {
			w.sync(m, s.B%2 == 0, false)
		}
	case k < 82: // a report that was under way for long
		old := *m.box
		old.Sync = m.old
		if old.Instance != "" {
			_, _ = old.call()
		}
	case k < 85: // a new process, with or without what the old one knew
		m.n++
		m.Instance = fmt.Sprint(m.Name, m.n)
		if s.B%2 == 0 {
			clear(m.work)
		}
	case k < 88:
		w.r.restart()
	case k < 93 && len(w.ids) > 0:
		_, _ = w.r.Cancel(w.r.t.Context(), w.ids[s.B%len(w.ids)], "alice")
	case k < 95 && len(w.ids) > 0:
		id := w.ids[s.B%len(w.ids)]
		if _, err := w.r.Retry(w.r.t.Context(), id); err == nil {
			delete(w.final, id)
		}
	case k < 97:
		w.r.fake.mu.Lock()
		w.r.fake.fail = map[bool]error{true: errBroken}[w.r.fake.fail == nil]
		w.r.fake.mu.Unlock()
	default:
		m.picky = s.B % 3
	}
}

func (w *world) add(s step) {
	spec := prompt(in([]string{"", "shop", "blog"}[s.A%3]), func(t *task.Spec) {
		t.Priority, t.MaxAttempts = s.B%3, s.C%4
		switch s.B % 10 {
		case 0:
			t.NotBefore = at(time.Minute)
		case 1:
			t.Deadline = at(5 * time.Minute)
		case 2:
			t.OnLost = task.LostFinish
		case 3:
			t.Runner = "a"
		}
	})
	t, _, err := w.r.Add(w.r.t.Context(), spec, "alice", "")
	if err == nil {
		w.ids = append(w.ids, t.ID)
	}
}

// sync reports everything; the answer may be lost.
func (w *world) sync(m *machine, held, lost bool) {
	w.hear()
	if time.Since(m.contact) > time.Duration(m.LostAfterMS)*time.Millisecond {
		for _, one := range m.work {
			if one.agent() {
				one.state, one.outcome = task.Ended, event.Lost // its sandbox has ended itself
			}
		}
	}
	m.Sessions = nil
	for _, id := range slices.Sorted(maps.Keys(m.work)) {
		one := m.work[id]
		m.Sessions = append(m.Sessions, api.SessionReport{ID: id, Token: one.lease.Token, State: one.state, Reason: "does not like it"})
	}
	m.old = m.Sync
	if !held {
		m.WaitMS = 0
		a, err := m.call()
		w.apply(m, lost, a, err)
		return
	}
	m.WaitMS = 30_000
	report := *m.box
	report.leases = &sync.Map{}
	go func() {
		a, err := report.call()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answers = append(w.answers, func() { w.apply(m, lost, a, err) })
	}()
}

// hear lets the answers of held polls have their effect.
func (w *world) hear() {
	synctest.Wait()
	w.mu.Lock()
	all := w.answers
	w.answers = nil
	w.mu.Unlock()
	for _, f := range all {
		f()
	}
}

func (w *world) apply(m *machine, lost bool, a api.SyncAnswer, err error) {
	if lost || err != nil {
		return
	}
	m.contact = time.Now()
	for _, l := range a.Leases {
		if m.work[l.Session] == nil {
			ws := m.Workspaces[0]
			if i := slices.IndexFunc(m.Workspaces, func(x api.Workspace) bool { return x.Name == l.Task.Workspace }); i > 0 {
				ws = m.Workspaces[i]
			}
			m.work[l.Session] = &work{lease: l, workspace: ws, state: []task.SessionState{task.Accepted, task.Declined, task.Returned}[m.picky]}
		}
	}
	for _, s := range a.Stop {
		if one := m.work[s.Session]; one != nil && s.Fenced {
			delete(m.work, s.Session)
		} else if one != nil && one.agent() {
			one.state, one.outcome = task.Ended, s.Outcome
		}
	}
	for _, id := range a.Done {
		delete(m.work, id)
	}
}

// advance moves one session of a machine on.
func (w *world) advance(m *machine, which, how int) {
	ids := slices.Sorted(maps.Keys(m.work))
	if len(ids) == 0 {
		return
	}
	one := m.work[ids[which%len(ids)]]
	switch one.state {
	case task.Accepted:
		one.state = task.Active
		if how%10 == 0 {
			one.state = task.Returned
		}
	case task.Active:
		one.state = task.Ended
		one.outcome = []event.Outcome{event.Succeeded, event.Failed, event.Errored, event.Succeeded}[how%4]
	case task.Ended:
		w.finish(m, one)
	}
}

func (w *world) finish(m *machine, one *work) {
	data, _ := json.Marshal(event.SessionFinished{Outcome: one.outcome})
	a, err := w.r.db.Append(w.r.t.Context(), store.Batch{Session: one.lease.Session, Token: one.lease.Token, Runner: m.Runner,
		Events: []api.Event{{Seq: 1, Type: string(event.TypeSessionFinished), Data: data}}})
	switch {
	case errors.Is(err, store.ErrFenced):
		delete(m.work, one.lease.Session)
	case err == nil:
		if a.Task != nil && a.Task.State == task.Finished {
			w.final[a.Task.ID] = w.r.fake.offers[a.Task.ID]
		}
		w.r.Appended(one.lease.Session, a)
	}
}

func (w *world) check() {
	db := w.r.fake
	db.mu.Lock()
	defer db.mu.Unlock()
	open := map[string]string{}
	for id, s := range db.sessions {
		if !s.State.Open() {
			continue
		}
		if other := open[s.Task]; other != "" || db.tasks[s.Task].Session != id {
			w.Errorf("sessions %s and %s of task %s are both open", id, other, s.Task)
		}
		open[s.Task] = id
	}
	for id, n := range w.final {
		if db.offers[id] != n {
			w.Errorf("task %s is done again", id)
		}
	}
	for _, m := range w.boxes {
		users, agents := map[string]int{}, 0
		for _, one := range m.work {
			if !one.agent() || time.Since(m.contact) > time.Duration(m.LostAfterMS)*time.Millisecond {
				continue
			}
			agents++
			if users[one.workspace.Name]++; users[one.workspace.Name] > 1 && !one.workspace.Shared {
				w.Errorf("workspace %s on %s is used twice at a time", one.workspace.Name, m.Name)
			}
		}
		if agents > m.Capacity {
			w.Errorf("%s has %d agents and %d places", m.Name, agents, m.Capacity)
		}
	}
}

// settle connects everything, and lets all work end.
func (w *world) settle() {
	w.r.fake.breakDown(nil)
	for round := range 1000 {
		for _, m := range w.boxes {
			if round%20 == 0 { // who declined a task is asked again
				m.n++
				m.Instance, m.picky = fmt.Sprint(m.Name, m.n), 0
			}
			w.sync(m, false, false)
			for i := range len(m.work) {
				w.advance(m, i, 3)
			}
		}
		if w.check(); len(w.problems) > 0 {
			return
		}
		if w.open() == "" {
			return
		}
		time.Sleep(time.Second)
	}
	w.Errorf("after a long time: %s", w.open())
}

// open names a task that is not finished, or a session that is reported for ever.
func (w *world) open() string {
	w.r.fake.mu.Lock()
	defer w.r.fake.mu.Unlock()
	for id, t := range w.r.fake.tasks {
		if t.State != task.Finished {
			return fmt.Sprintf("task %s is %s; its session is %+v", id, t.State, w.r.fake.sessions[t.Session])
		}
	}
	for _, m := range w.boxes {
		for id, one := range m.work {
			return fmt.Sprintf("%s still reports session %s as %s, which is %+v", m.Name, id, one.state, w.r.fake.sessions[id])
		}
	}
	return ""
}
