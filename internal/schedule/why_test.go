package schedule

import (
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestWhy(t *testing.T) {
	gpu := func(s *task.Spec) { s.Labels = []string{"linux", "gpu"} }
	codex := func(s *task.Spec) { s.Agent = "codex" }
	onNAS := func(s *task.Spec) { s.Runner = "nas" }
	for name, c := range map[string]struct {
		task  []func(*task.Spec)
		boxes func(r *rig) []*box
		want  string
		stuck bool
	}{
		"nobody": {want: "no runner is connected", stuck: true},
		"workspace": {task: []func(*task.Spec){in("shop")}, boxes: func(r *rig) []*box { return []*box{r.box("nas", 1), r.box("laptop", 1)} },
			want: "no runner has workspace shop", stuck: true},
		"default workspace": {boxes: func(r *rig) []*box {
			b := r.box("nas", 1)
			b.Workspaces[0].Default = false
			return []*box{b}
		}, want: "no runner has a default workspace", stuck: true},
		"label": {task: []func(*task.Spec){gpu}, boxes: func(r *rig) []*box {
			b := r.box("nas", 1)
			b.Labels = []string{"linux"}
			return []*box{b, r.box("laptop", 1)}
		}, want: "no runner has label gpu", stuck: true},
		"label elsewhere": {task: []func(*task.Spec){in("shop"), gpu}, boxes: func(r *rig) []*box {
			a, b := r.box("nas", 1, "shop"), r.box("laptop", 1, "blog")
			a.Labels, b.Labels = []string{"linux"}, []string{"gpu", "linux"}
			return []*box{a, b}
		}, want: "no runner has workspace shop and label gpu", stuck: true},
		"agent": {task: []func(*task.Spec){codex}, boxes: func(r *rig) []*box { return []*box{r.box("nas", 1)} },
			want: "no runner has codex", stuck: true},
		"logged out": {boxes: func(r *rig) []*box {
			b := r.box("nas", 1)
			b.Agents[0].Login = "logged_out"
			return []*box{b}
		}, want: "claude on nas is logged out", stuck: true},
		"expired": {boxes: func(r *rig) []*box {
			b := r.box("nas", 1)
			b.Agents[0].Login = "expired"
			return []*box{b}
		}, want: "the login of claude on nas has expired", stuck: true},
		"disk": {boxes: func(r *rig) []*box {
			b := r.box("nas", 1)
			b.Health = api.Health{Reasons: []string{"has 0.4 GB of disk left", "is draining"}}
			return []*box{b}
		}, want: "nas has 0.4 GB of disk left", stuck: true},
		"no places": {boxes: func(r *rig) []*box { return []*box{r.box("nas", 0)} }, want: "nas has no places"},
		"other runner": {task: []func(*task.Spec){onNAS}, boxes: func(r *rig) []*box { return []*box{r.box("laptop", 1)} },
			want: "no runner is named nas", stuck: true},
		"named runner without workspace": {task: []func(*task.Spec){onNAS, in("shop")}, boxes: func(r *rig) []*box { return []*box{r.box("nas", 1)} },
			want: "nas has no workspace shop", stuck: true},
		"nearest": {boxes: func(r *rig) []*box {
			a, b := r.box("nas", 1), r.box("laptop", 1)
			a.Agents = nil
			b.Agents[0].Login = "logged_out"
			return []*box{a, b}
		}, want: "claude on laptop is logged out", stuck: true},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, r *rig) {
				id := r.add(c.task...)
				time.Sleep(waitingAfter)
				if c.boxes != nil {
					for _, b := range c.boxes(r) {
						b.hello()
					}
				}
				r.wantWhy(id, c.want)
				items, err := r.Waiting(t.Context())
				if err != nil || (len(items) == 1) != c.stuck {
					t.Fatalf("inbox %+v, %v", items, err)
				}
				if c.stuck && (items[0].Text != c.want || items[0].Kind != api.InboxWaiting || items[0].Task != id || items[0].Title != "fix it") {
					t.Fatalf("inbox %+v", items[0])
				}
			})
		})
	}
}

func TestWhyOfCapacity(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		b := r.box("nas", 2, "shop", "blog", "docs")
		r.add(in("shop"))
		s := b.take(task.Active)
		second := r.add(in("shop"))
		r.wantWhy(second, "workspace shop on nas is taken by session "+s)
		r.add(in("blog"))
		b.take(task.Active)
		third := r.add(in("docs"))
		r.wantWhy(third, "all 2 places of nas are taken")
		b.alive(2 * time.Minute)
		if items, _ := r.Waiting(t.Context()); len(items) != 0 {
			t.Fatalf("inbox %+v", items)
		}
		r.wantWhy(b.lease(s).Task.ID, "")
		time.Sleep(2 * time.Minute)
		r.wantWhy(third, "nas is away since 00:01 UTC")
		if items, _ := r.Waiting(t.Context()); len(items) != 2 {
			t.Fatalf("inbox %+v", items)
		}
		b.alive(time.Second)
		for _, x := range b.Sessions {
			b.set(x.ID, task.Ended)
			if err := b.finish(x.ID, event.Succeeded); err != nil {
				t.Fatal(err)
			}
		}
		if a := b.hello(); len(a.Leases) != 2 {
			t.Fatalf("answer %+v", a)
		}
	})
}

func TestInboxIsQuietAfterAStart(t *testing.T) {
	inMemory(t, func(t *testing.T, r *rig) {
		r.add()
		time.Sleep(time.Hour)
		if items, _ := r.Waiting(t.Context()); len(items) != 1 {
			t.Fatalf("inbox %+v", items)
		}
		r.restart()
		if items, _ := r.Waiting(t.Context()); len(items) != 0 {
			t.Fatalf("inbox %+v", items)
		}
	})
}
