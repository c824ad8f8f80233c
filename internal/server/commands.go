package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// addCommand queues a command for a session. With an id that the session has already
// nothing new is queued.
func (s *Server) addCommand(c *call) error {
	var n api.NewCommand
	if err := c.decode(&n, bodyMax); err != nil {
		return err
	}
	if err := checkCommand(n); err != nil {
		return err
	}
	session, err := s.store.Session(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if n.Kind == api.CommandAnswer {
		n.Answer.By = c.by.User
		if err := s.checkAnswer(c, session.ID, n); err != nil {
			return err
		}
	}
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	cmd, err := s.dispatch.Command(c.ctx(), session.ID, n, c.who())
	if err != nil {
		return err
	}
	s.audit(c, "command."+string(n.Kind), session.ID, "command "+cmd.ID)
	c.json(http.StatusAccepted, cmd)
	return nil
}

// checkCommand checks what can be known without the session.
func checkCommand(n api.NewCommand) error {
	text := strings.TrimSpace(n.Text) != ""
	switch {
	case !plain(n.ID):
		return invalid("the command's id is too long or no plain text")
	case !slices.Contains([]api.CommandKind{api.CommandMessage, api.CommandWithdraw, api.CommandInterrupt, api.CommandCancel, api.CommandAnswer}, n.Kind):
		return invalid(fmt.Sprintf("kind %q is none of message, withdraw, interrupt, cancel and answer", n.Kind))
	case len(n.Text) > task.PromptMax || !utf8.ValidString(n.Text):
		return invalid(fmt.Sprintf("the text has more than %d MiB or is no UTF-8", task.PromptMax>>20))
	case n.Kind == api.CommandMessage && !text:
		return invalid("the message is empty")
	case text && n.Kind != api.CommandMessage && n.Kind != api.CommandCancel:
		return invalid(fmt.Sprintf("a command %s takes no text", n.Kind))
	case !slices.Contains([]string{"", "now", "next", "later"}, n.Priority):
		return invalid(fmt.Sprintf("priority %q is none of now, next and later", n.Priority))
	case n.Priority != "" && n.Kind != api.CommandMessage:
		return invalid("only a message has a priority")
	case (n.Kind == api.CommandAnswer) != (n.Answer != nil):
		return invalid("a command has an answer if, and only if, its kind is answer")
	case n.Answer != nil && n.Answer.Ask == "":
		return invalid("the answer does not say to which ask")
	}
	return nil
}

// checkAnswer refuses what does not answer an ask that is open, so that the person hears
// of it and not the agent. A repeated command was checked before.
func (s *Server) checkAnswer(c *call, session string, n api.NewCommand) error {
	ask, err := s.store.OpenAsk(c.ctx(), session, n.Answer.Ask)
	if errors.Is(err, store.ErrNotFound) {
		if _, err := s.store.Command(c.ctx(), session, n.ID); err == nil {
			return nil
		}
		return &api.Error{Code: api.CodeConflict, Message: "ask " + n.Answer.Ask + " is not open: it was answered, or its time is over", Hint: "inbox lists what is open"}
	}
	if err != nil {
		return err
	}
	if err := n.Answer.Check(ask); err != nil {
		return invalid(err.Error())
	}
	return nil
}

func (s *Server) listCommands(c *call) error {
	after, err := c.number("after")
	if err != nil {
		return err
	}
	limit, _, err := c.page()
	if err != nil {
		return err
	}
	session, err := s.store.Session(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	all, err := s.store.Commands(c.ctx(), session.ID, int64(after), limit)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, api.Commands{Commands: list(all)})
	return nil
}
