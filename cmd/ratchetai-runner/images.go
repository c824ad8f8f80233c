package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/images"
)

func (a *app) imagesCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "images", Short: "Manage the images that sandboxes start from"})
	var claude, codex string
	build := &cobra.Command{
		Use:   "build",
		Short: "Build the image that sandboxes start from and print its tag",
		Long: `Build the image that sandboxes start from, unless it is there, and print its tag.
run does the same when it needs it. The vendors' agents are downloaded. Set
RATCHETAI_CLAUDE_VERSION or RATCHETAI_CODEX_VERSION for run to use other versions.`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.buildImage(cmd.Context(), claude, codex) },
	}
	build.Flags().StringVar(&claude, "claude-version", "", "version of Claude Code (default "+images.Claude().Version+", the only one with a pinned hash)")
	build.Flags().StringVar(&codex, "codex-version", "", "version of Codex (default "+images.Codex().Version+"; likewise)")
	c.AddCommand(build, a.imagesLs(), a.imagesPrune())
	return c
}

func (a *app) buildImage(ctx context.Context, claude, codex string) error {
	engine, err := a.engine(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	b := a.builder(engine)
	b.ClaudeVersion, b.CodexVersion = cmp.Or(claude, b.ClaudeVersion), cmp.Or(codex, b.CodexVersion)
	starting := newStarting(ctx)
	defer starting.release()
	tag, err := a.image(starting.ctx, b, viewFlags{})
	if err != nil {
		return starting.explain(err)
	}
	fmt.Fprintln(a.Out, tag)
	return nil
}
