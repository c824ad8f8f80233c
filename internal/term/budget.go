package term

import (
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// budgetWarned shows that a budget is nearly used up.
func (p *Printer) budgetWarned(d event.BudgetWarned) {
	used, limit := fmt.Sprint(d.Used), fmt.Sprint(d.Limit)
	switch d.Budget {
	case event.BudgetCost:
		used, limit = Cost(d.Used), Cost(d.Limit)
	case event.BudgetTokens:
		used, limit = Tokens(d.Used), Tokens(d.Limit)
	case event.BudgetTime:
		used, limit = Duration(msec(d.Used)), Duration(msec(d.Limit))
	}
	p.line(&p.o.Err, seg{yellow, "! "}, fmt.Sprintf("budget: %s of %s %s used", used, limit, Line(string(d.Budget))), plain)
}
