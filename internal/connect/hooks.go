package connect

import (
	"context"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

func (w *work) before(_ context.Context, _ string) ([]event.Notice, error) { return nil, nil }

func (w *work) after(_ context.Context, _ runner.Summary) {}
