package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) answerCommand() *cobra.Command {
	var input string
	var asJSON bool
	c := &cobra.Command{
		Use:   "answer ASK [allow|allow-session|deny|stop] [TEXT]...",
		Short: "Answer what a session asks",
		Long: `Answer what a session asks; without an answer, show what it asks. ASK is what
inbox calls it, or the beginning or the end of its session's or task's id.

  answer ASK allow                 the call may run
  answer ASK allow-session         this and the same again, until the session ends
  answer ASK deny [WHY]            the agent goes on without, and reads WHY
  answer ASK stop                  it is denied, and the agent's turn ends
  answer ASK TEXT...               to a question: the number of a choice, or any text; one
                                   for each question that is asked
  answer ASK allow --input JSON    the call runs with other arguments; or a form's data`,
		Example: `  ratchetai-runner answer 4f2a91c07b3e
  ratchetai-runner answer 4f2a91c07b3e deny "use git clean instead"`,
		Args: only(1, many, "ASK"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return []string{"allow", "allow-session", "deny", "stop"}, cobra.ShellCompDirectiveNoFileComp
		}
		return r.completeInbox(cmd, api.InboxAsk)
	}
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		inbox, err := client.Inbox(ctx)
		if err != nil {
			return err
		}
		it, err := pick(inbox.Items, api.InboxAsk, args[0])
		switch {
		case err != nil:
			return err
		case it.Ask == nil:
			return fmt.Errorf("the control plane does not say what %s asks", it.Session)
		case len(args) == 1 && input == "":
			return a.printAsk(it, args[0], asJSON)
		}
		answer, err := answerOf(*it.Ask, args[1:], input)
		if err != nil {
			return usageError{err}
		}
		return a.command(ctx, client, it.Session, api.NewCommand{Kind: api.CommandAnswer, Answer: &answer}, asJSON)
	})
	c.Flags().StringVar(&input, "input", "", "a JSON object: what the call gets instead, or a form's data")
	c.Flags().BoolVar(&asJSON, "json", false, "print the ask, or the command that answers it, as one JSON object")
	return c
}

// decisions are the first words of an answer.
func decisions(word string) (event.Decision, bool) {
	switch word {
	case "allow", "deny", "stop":
		return event.Decision(word), true
	case "allow-session", "allow_session":
		return event.DecideSession, true
	}
	return "", false
}

// answerOf makes an answer to o of words.
func answerOf(o event.AskOpened, words []string, input string) (event.Answer, error) {
	answer := event.Answer{Ask: o.Ask, Decision: event.DecideAllow, By: event.ByPerson}
	if input != "" {
		if answer.Input = json.RawMessage(input); !json.Valid(answer.Input) {
			return answer, errors.New("--input: not JSON")
		}
	}
	given := false
	if len(words) > 0 {
		var d event.Decision
		if d, given = decisions(words[0]); given {
			answer.Decision, words = d, words[1:]
		}
	}
	switch {
	case answer.Decision == event.DecideDeny:
		answer.Message = strings.Join(words, " ")
	case o.Kind == event.AskQuestion && len(words) != len(o.Questions) && answer.Decision == event.DecideAllow:
		return answer, fmt.Errorf("%d questions are asked and %d answers given", len(o.Questions), len(words))
	case o.Kind == event.AskQuestion && answer.Decision == event.DecideAllow:
		answer.Answers = map[string][]string{}
		for i, q := range o.Questions {
			answer.Answers[q.ID] = chosen(q, words[i])
		}
	case len(words) > 0 && !given:
		return answer, fmt.Errorf("%q is none of allow, allow-session, deny, stop", words[0])
	case len(words) > 0:
		return answer, fmt.Errorf("%s takes no text; deny does", answer.Decision)
	}
	return answer, answer.Check(o)
}

// printAsk shows what is asked and how it is answered.
func (a *app) printAsk(it api.InboxItem, called string, asJSON bool) error {
	if asJSON {
		return jsonLines(a.Out, []api.InboxItem{it})
	}
	d := a.display()
	d.Err, d.Live = d.Out, false
	p := term.New(d)
	p.Ask(*it.Ask)
	p.Close()
	how := []string{}
	for _, option := range it.Ask.Options {
		if o := strings.ReplaceAll(string(option), "_", "-"); it.Ask.Kind != event.AskQuestion || option != event.DecideAllow {
			how = append(how, o)
		}
	}
	if it.Ask.Kind == event.AskQuestion {
		how = append([]string{"NUMBER or TEXT"}, how...)
	}
	deadline := ""
	if t, err := time.Parse(time.RFC3339, it.Ask.ExpiresAt); err == nil {
		deadline = fmt.Sprintf("   (at %s: %s)", t.Local().Format(time.TimeOnly), it.Ask.Default)
	}
	fmt.Fprintf(a.Err, "%s answer %s %s%s\n", name, term.Line(called), strings.Join(how, "|"), deadline)
	return nil
}
