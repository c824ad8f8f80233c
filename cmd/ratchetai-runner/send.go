package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

func (a *app) sendCommand() *cobra.Command {
	var now, later, withdraw, asJSON bool
	c := &cobra.Command{
		Use:   "send SESSION TEXT",
		Short: "Tell a session's agent something",
		Long: `Tell a session's agent something. It reads TEXT in its turn, between two steps, unless
--now or --later says otherwise. TEXT may be -, for stdin. SESSION is the beginning or the
end of a session's id, or of a task's, whose newest session is meant.`,
		Example: `  ratchetai-runner send 4f2a91c07b3e "use the staging database"
  ratchetai-runner send --now 4f2a91c07b3e "stop: that is the wrong branch"`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case now && later, withdraw && (now || later):
				return errors.New("--now, --later and --withdraw exclude each other")
			case withdraw:
				return only(1, 1, "SESSION")(nil, args)
			}
			return only(2, 2, "SESSION TEXT")(nil, args)
		},
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = r.completeSessions
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		n := api.NewCommand{Kind: api.CommandWithdraw}
		if !withdraw {
			text, err := a.messageText(args[1])
			if err != nil {
				return usageError{err}
			}
			n = api.NewCommand{Kind: api.CommandMessage, Text: text, Priority: string(priority(now, later))}
		}
		return a.command(ctx, client, args[0], n, asJSON)
	})
	c.Flags().BoolVar(&now, "now", false, "at once: the agent's turn is stopped for it")
	c.Flags().BoolVar(&later, "later", false, "when the agent's turn has ended")
	c.Flags().BoolVar(&withdraw, "withdraw", false, "take the last message back that the agent has not read")
	c.Flags().BoolVar(&asJSON, "json", false, "print the command as one JSON object")
	return c
}

func priority(now, later bool) agent.Priority {
	switch {
	case now:
		return agent.Now
	case later:
		return agent.Later
	}
	return agent.Next
}

func (a *app) messageText(text string) (string, error) {
	if text == "-" {
		data, err := io.ReadAll(io.LimitReader(a.In, messageMax+1))
		if err != nil {
			return "", fmt.Errorf("stdin: %w", err)
		}
		text = string(data)
	}
	switch {
	case strings.TrimSpace(text) == "":
		return "", errors.New("the message is empty")
	case len(text) > messageMax:
		return "", fmt.Errorf("the message has more than %d MiB", messageMax>>20)
	}
	return text, nil
}

func (a *app) interruptCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "interrupt SESSION",
		Short: "Stop an agent's turn; it then waits for a message",
		Long: `Stop an agent's turn; it then waits for a message, from send. To end it for good, use
task cancel.`,
		Args: only(1, 1, "SESSION"),
	}
	r := a.newRemote(c)
	c.ValidArgsFunction = r.completeSessions
	c.RunE = r.with(func(ctx context.Context, client *api.Client, args []string) error {
		return a.command(ctx, client, args[0], api.NewCommand{Kind: api.CommandInterrupt}, asJSON)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print the command as one JSON object")
	return c
}

// command sends n into the session that id means, and says that it is on its way.
func (a *app) command(ctx context.Context, client *api.Client, id string, n api.NewCommand, asJSON bool) error {
	s, err := sessionOf(ctx, client, id)
	if err != nil {
		return err
	}
	n.ID = uuid.NewString()
	cmd, err := client.Command(ctx, s.ID, n)
	if err != nil {
		return err
	}
	if asJSON {
		return jsonLines(a.Out, []api.Command{cmd})
	}
	fmt.Fprintf(a.Err, "%s: on its way to session %s\n", n.Kind, term.Line(short(s.ID)))
	return nil
}
