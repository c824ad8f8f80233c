package agent

import (
	"encoding/json"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// claudeTodo is one step of the plan that the Task tools keep. They change one
// step at a time, so that the adapter has to know the others. TodoWrite, which
// older versions and some models have in their place, sends the whole plan.
type claudeTodo struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
	Status  string `json:"status"`
}

// claudeMaxPlan bounds what a hostile agent can make the adapter remember.
const claudeMaxPlan = 500

// claudePlan is the plan in a TodoWrite.
func claudePlan(s *claudeStep, input json.RawMessage) {
	var in struct {
		Todos []struct {
			Content string `json:"content"`
			Status  string `json:"status"`
		} `json:"todos"`
	}
	if !s.decode(input, &in) {
		return
	}
	plan := event.PlanUpdated{Steps: []event.PlanStep{}}
	for _, t := range in.Todos {
		plan.Steps = append(plan.Steps, event.PlanStep{Text: t.Content, Status: t.Status})
	}
	s.add(plan)
}

// planResult takes what a Task tool answered. The new subject of a step is only
// in the call.
func (c *claude) planResult(s *claudeStep, call claudeCall, typed json.RawMessage) {
	var r struct {
		Task    *claudeTodo  `json:"task"`  // TaskCreate
		Tasks   []claudeTodo `json:"tasks"` // TaskList
		TaskID  string       `json:"taskId"`
		Success bool         `json:"success"`
		Change  struct {
			To string `json:"to"`
		} `json:"statusChange"`
	}
	_ = json.Unmarshal(typed, &r) // a failure is a text, and changes nothing
	switch {
	case call.name == "TaskCreate" && r.Task != nil && len(c.plan) < claudeMaxPlan:
		r.Task.Status = "pending"
		c.plan = append(c.plan, *r.Task)
	case call.name == "TaskList" && r.Tasks != nil:
		c.plan = r.Tasks[:min(len(r.Tasks), claudeMaxPlan)]
	case call.name == "TaskUpdate" && r.Success:
		c.updatePlan(r.TaskID, call.subject, r.Change.To)
	default:
		return
	}
	c.showPlan(s)
}

func (c *claude) updatePlan(id, subject, status string) {
	i := slices.IndexFunc(c.plan, func(t claudeTodo) bool { return t.ID == id })
	switch {
	case i < 0:
		return
	case status == "deleted":
		c.plan = slices.Delete(c.plan, i, i+1)
		return
	case status != "":
		c.plan[i].Status = status
	}
	if subject != "" {
		c.plan[i].Subject = subject
	}
}

// planStatuses takes changes that Claude Code made itself.
func (c *claude) planStatuses(s *claudeStep, line []byte) {
	var l struct {
		Statuses []claudeTodo `json:"statuses"`
	}
	s.decode(line, &l)
	for _, t := range l.Statuses {
		c.updatePlan(t.ID, "", t.Status)
	}
	c.showPlan(s)
}

func (c *claude) showPlan(s *claudeStep) {
	plan := event.PlanUpdated{Steps: make([]event.PlanStep, 0, len(c.plan))}
	for _, t := range c.plan {
		plan.Steps = append(plan.Steps, event.PlanStep{Text: t.Subject, Status: t.Status})
	}
	s.add(plan)
}
