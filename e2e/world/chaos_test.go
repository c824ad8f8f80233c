package world

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestSchedules: two runners, a control plane and people, all of whose calls meet faults, with
// kills of each, broken connections, and hours that pass. The number of a schedule that fails
// is the name of its test. RATCHETAI_SCHEDULES is how many there are.
func TestSchedules(t *testing.T) {
	t.Parallel()
	n := 20
	if s := os.Getenv("RATCHETAI_SCHEDULES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var sum Counts
	ops := map[string]int{}
	t.Cleanup(func() { t.Log(sum, ops) })
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newChaos(t, uint64(seed))
				got := c.play()
				mu.Lock()
				defer mu.Unlock()
				sum.Add(got)
				for k, v := range c.ops {
					ops[k] += v
				}
			})
		})
	}
}

// chaos plays one schedule.
type chaos struct {
	*World
	rng      *rand.Rand
	mu       sync.Mutex // guards faults
	faults   *rand.Rand
	rate     float64
	down     bool              // the control plane
	tasks    map[string]string // name -> id
	canceled map[string]bool   // ids
	said     map[string]string // command -> session
	ops      map[string]int
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{
		World: New(t), rng: rand.New(rand.NewPCG(seed, 1)), faults: rand.New(rand.NewPCG(seed, 2)),
		tasks: map[string]string{}, canceled: map[string]bool{}, said: map[string]string{}, ops: map[string]int{},
	}
	c.Patience = 30 * 24 * time.Hour
	if os.Getenv("RATCHETAI_SCHEDULES_LOG") != "" {
		c.Verbose()
	}
	for _, name := range []string{"nas", "box"} {
		m := c.Machine(name)
		m.Config = func(k *connect.Config) { k.Workspaces[0].Shared = name == "nas" }
		m.Way.Choose(c.choose)
		m.Start()
	}
	c.way.Choose(c.choose)
	return c
}

// choose gives a call its fault.
func (c *chaos) choose(*http.Request) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := append(AllFaults, Silent)
	if c.faults.Float64() >= c.rate {
		return None
	}
	return all[c.faults.IntN(len(all))]
}

func (c *chaos) setRate(r float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = r
}

// some is a time from a millisecond to max, of any order of magnitude.
func (c *chaos) some(max time.Duration) time.Duration {
	return time.Duration(float64(time.Millisecond) * math.Pow(float64(max/time.Millisecond), c.rng.Float64()))
}

func (c *chaos) play() Counts {
	for range 2 + c.rng.IntN(3) {
		c.add()
	}
	steps := map[string]func(){
		"task": c.add, "kill runner": c.killRunner, "start runner": c.startRunner, "kill control plane": func() { c.stopPlane(c.Plane.Kill) },
		"stop control plane": func() { c.stopPlane(c.Plane.Stop) }, "start control plane": c.startPlane, "drop": c.Plane.Drop,
		"faults": func() { c.setRate(c.rng.Float64() / 2) }, "no faults": func() { c.setRate(0) }, "message": c.message, "cancel": c.cancel,
		"hours": func() { time.Sleep(c.some(10 * time.Hour)) }, "gates": func() { c.Open(fmt.Sprint(c.rng.IntN(3))) },
		"runner away": c.runnerAway, "partition": c.partition,
	}
	names := []string{"task", "task", "kill runner", "kill runner", "start runner", "start runner", "kill control plane", "stop control plane",
		"start control plane", "start control plane", "drop", "faults", "no faults", "message", "message", "cancel", "hours", "gates",
		"runner away", "partition"}
	for range 5 + c.rng.IntN(30) {
		time.Sleep(c.some(20 * time.Second))
		name := names[c.rng.IntN(len(names))]
		c.Logf("%s %s", time.Now().Format("02 15:04:05.000"), name)
		steps[name]()
		c.ops[name]++
	}
	return c.heal()
}

// heal ends all faults and waits for the end.
func (c *chaos) heal() Counts {
	c.setRate(0)
	if c.down {
		c.startPlane()
	}
	for _, m := range c.machines {
		if m.daemon == nil {
			m.Start()
		}
	}
	for g := range 3 {
		c.Open(fmt.Sprint(g))
	}
	for name, id := range c.tasks {
		c.UntilState(task.Finished, id)
		if t, _ := c.Task(id); t.Outcome != event.Succeeded && (t.Outcome != event.Cancelled || !c.canceled[id]) {
			c.tell()
			c.Errorf("task %s ended as %s (%s)", name, t.Outcome, t.Reason)
		}
	}
	got := c.Check()
	if got.Tasks != len(c.tasks) {
		c.Errorf("%d tasks were added, there are %d", len(c.tasks), got.Tasks)
	}
	if n := c.machines[1].Most(); n > 1 {
		c.Errorf("%d agents worked in an exclusive workspace at a time", n)
	}
	c.checkSaid()
	return got
}

// try repeats a person's call until it is answered.
func (c *chaos) try(call func(context.Context) error) error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := call(ctx)
		cancel()
		if err == nil || !api.Transient(err) && c.rateNow() == 0 {
			return err
		}
		if c.down {
			c.startPlane()
		}
		c.setRate(c.rateNow() * 0.9)
		if c.rateNow() < 0.01 {
			c.setRate(0)
		}
		time.Sleep(time.Second)
	}
}

func (c *chaos) rateNow() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rate
}

func (c *chaos) add() {
	o := Order{Name: fmt.Sprintf("task %d", len(c.tasks)), Lines: c.rng.IntN(30), Pause: c.some(30 * time.Second)}
	if c.rng.IntN(3) == 0 {
		o.Gate = fmt.Sprint(c.rng.IntN(3))
	}
	if c.rng.IntN(8) == 0 {
		o.Long = 300_000
	}
	spec, key := task.Spec{Title: o.Name, Prompt: o.Prompt(), MaxAttempts: task.AttemptsMax}, uuid.NewString()
	var t task.Task
	if err := c.try(func(ctx context.Context) (err error) { t, err = c.People.AddTask(ctx, spec, key); return err }); err != nil {
		c.Fatal(err)
	}
	c.tasks[o.Name] = t.ID
}

func (c *chaos) killRunner() {
	if m := c.machines[c.rng.IntN(len(c.machines))]; m.daemon != nil {
		m.Kill()
		if c.rng.IntN(2) == 0 { // at once
			m.Start()
		}
	}
}

// runnerAway leaves a machine without a daemon for as long as its sandboxes may take to end.
func (c *chaos) runnerAway() {
	m := c.machines[c.rng.IntN(len(c.machines))]
	if m.daemon != nil {
		m.Kill()
	}
	time.Sleep(30*time.Minute + c.some(3*time.Hour))
	m.Start()
}

// partition cuts a machine off while its daemon and agents work.
func (c *chaos) partition() {
	m := c.machines[c.rng.IntN(len(c.machines))]
	m.Way.open(false)
	time.Sleep(30*time.Minute + c.some(3*time.Hour))
	if m.daemon != nil {
		m.Way.open(true)
	}
}

func (c *chaos) startRunner() {
	for _, m := range c.machines {
		if m.daemon == nil {
			m.Start()
			return
		}
	}
}

func (c *chaos) stopPlane(how func() error) {
	if c.down {
		return
	}
	if err := how(); err != nil {
		c.Error(err)
	}
	c.down = true
	if c.rng.IntN(2) == 0 {
		c.startPlane()
	}
}

func (c *chaos) startPlane() {
	if !c.down {
		return
	}
	if err := c.Plane.Start(); err != nil {
		c.Fatal(err)
	}
	c.down = false
}

// any is a task that has not ended, with its newest session.
func (c *chaos) any() (task.Task, bool) {
	if c.down {
		return task.Task{}, false
	}
	all, _, err := c.Plane.Store().Tasks(context.Background(), store.TaskFilter{})
	if err != nil {
		c.Fatal(err)
	}
	for _, i := range c.rng.Perm(len(all)) {
		if all[i].State != task.Finished {
			return all[i], true
		}
	}
	return task.Task{}, false
}

func (c *chaos) message() {
	t, ok := c.any()
	if !ok || t.State != task.Running {
		return
	}
	n := api.NewCommand{ID: uuid.NewString(), Kind: api.CommandMessage, Text: "<<" + uuid.NewString() + ">>"}
	if err := c.try(func(ctx context.Context) error { _, err := c.People.Command(ctx, t.Session, n); return err }); err == nil {
		c.said[n.Text] = t.ID
	}
}

func (c *chaos) cancel() {
	if t, ok := c.any(); ok {
		c.canceled[t.ID] = true
		_ = c.try(func(ctx context.Context) error { _, err := c.People.CancelTask(ctx, t.ID); return err })
	}
}

// checkSaid: what people said was heard once, or not at all.
func (c *chaos) checkSaid() {
	for text, id := range c.said {
		t, _ := c.Task(id)
		n := 0
		for _, r := range c.Runs(t.Title) {
			n += strings.Count(strings.Join(r.Heard, " "), text)
		}
		if n > 1 {
			c.Errorf("%s was heard %d times", text, n)
		}
		c.ops[fmt.Sprintf("heard %d", n)]++
	}
}
