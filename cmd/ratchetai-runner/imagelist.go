package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/term"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func (a *app) imagesLs() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the images that were built here",
		Long: `List the images that were built here, by this and other versions of the program.
Images share what they have in common, so their sizes do not add up.`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withImages(cmd.Context(), func(_ runner.Builder, all []runner.BuiltImage) error {
				return printImages(a.Out, all, asJSON, time.Now())
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per image")
	return c
}

func (a *app) imagesPrune() *cobra.Command {
	var all, dry, asJSON bool
	c := &cobra.Command{
		Use:   "prune",
		Short: "Remove images that nothing needs",
		Long: `Remove the images that other versions of this program or of the agents were built
into and no session uses, and print them. Only images that were built here are
touched; the images that they were made of stay.`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withImages(cmd.Context(), func(b runner.Builder, images []runner.BuiltImage) error {
				list := runner.Removable(images, all)
				if !dry {
					var err error
					if list, err = a.removeImages(cmd.Context(), b, list); err != nil {
						return err
					}
				}
				if len(list) == 0 && !asJSON {
					fmt.Fprintln(a.Err, "no image to remove")
					return nil
				}
				return printImages(a.Out, list, asJSON, time.Now())
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "remove the images of this version as well; the next session builds them again")
	c.Flags().BoolVar(&dry, "dry-run", false, "only print what would be removed")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per image")
	return c
}

// removeImages returns those of list that it removed.
func (a *app) removeImages(ctx context.Context, b runner.Builder, list []runner.BuiltImage) (removed []runner.BuiltImage, err error) {
	for _, i := range list {
		switch err := b.Remove(ctx, i); {
		case errors.Is(err, sandbox.ErrImageInUse):
			a.log.WithError(err).Warn("image kept")
		case err != nil:
			return removed, err
		default:
			removed = append(removed, i)
		}
	}
	return removed, nil
}

func (a *app) withImages(ctx context.Context, f func(runner.Builder, []runner.BuiltImage) error) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	b := a.builder(engine)
	all, err := b.Images(ctx, store)
	if err != nil {
		return err
	}
	return f(b, all)
}

func printImages(w io.Writer, all []runner.BuiltImage, asJSON bool, now time.Time) error {
	if asJSON {
		enc := json.NewEncoder(w)
		for _, i := range all {
			if err := enc.Encode(i); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMAGE\tKIND\tBASE\tAGENTS\tSIZE\tAGE\tUSED\tSTATE")
	for _, i := range all {
		used := ""
		if !i.Used.IsZero() {
			used = age(now.Sub(i.Used)) + " ago"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Tag, term.Line(i.Kind), term.Line(i.Base), term.Line(agentsOf(i)),
			units.HumanSize(float64(i.Bytes)), age(now.Sub(i.Created)), used, imageState(i))
	}
	return t.Flush()
}

func agentsOf(i runner.BuiltImage) string {
	var list []string
	for _, v := range []struct{ name, version string }{{"claude", i.Claude}, {"codex", i.Codex}} {
		if v.version != "" {
			list = append(list, v.name+" "+v.version)
		}
	}
	return strings.Join(list, ", ")
}

func imageState(i runner.BuiltImage) string {
	switch {
	case len(i.Sessions) > 0:
		return "in use"
	case i.Current:
		return "current"
	}
	return "old"
}
