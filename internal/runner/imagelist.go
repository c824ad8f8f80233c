package runner

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// BuiltImage is an image that a Builder made, of this or another version of the
// program.
type BuiltImage struct {
	Tag     string    `json:"tag"`
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // tools, agents, copy or sandbox, as package images has them, or devcontainer
	Base    string    `json:"base,omitempty"`
	Digest  string    `json:"digest,omitempty"` // of Base; see Image.Digest
	Claude  string    `json:"claude,omitempty"` // version of the agent in it
	Codex   string    `json:"codex,omitempty"`
	Bytes   int64     `json:"bytes"` // images share what they have in common
	Created time.Time `json:"created"`
	// Used is when the last session of this machine's store began that started from it.
	Used time.Time `json:"used,omitzero"`
	// Sessions are those whose sandbox was made from it and is there.
	Sessions []string `json:"sessions,omitempty"`
	// Current: a session that began now could start from it, or what it starts from
	// was made of it.
	Current bool `json:"current"`

	image sandbox.Image
}

// Images returns what Builders made on this engine, in the order in which it can be
// removed: what was made of an image comes before it. Without a store, Used is not set.
func (b Builder) Images(ctx context.Context, s *Store) ([]BuiltImage, error) {
	m, err := b.materials(ctx)
	if err != nil {
		return nil, err
	}
	built, err := b.Engine.BuiltImages(ctx)
	if err != nil {
		return nil, err
	}
	current, err := b.current(ctx, m, built)
	if err != nil {
		return nil, err
	}
	var sessions []Summary
	if s != nil {
		if sessions, err = s.List(); err != nil {
			return nil, err
		}
	}
	used := make(map[string]time.Time)
	for _, sum := range sessions { // the oldest first
		used[sum.Image] = sum.Created
	}
	all := make([]BuiltImage, len(built))
	for i, img := range built {
		l := img.Labels
		all[i] = BuiltImage{
			Tag: img.Tag, ID: img.ID, Kind: l[labelKind], Base: l[labelBase], Digest: l[labelDigest], Claude: l[labelClaude], Codex: l[labelCodex],
			Bytes: img.Bytes, Created: img.Created, Used: used[img.Tag], Sessions: img.Sessions, Current: current[img.Tag], image: img,
		}
	}
	slices.SortStableFunc(all, func(x, y BuiltImage) int {
		return cmp.Or(cmp.Compare(rank(x.Kind), rank(y.Kind)), y.Created.Compare(x.Created))
	})
	return all, nil
}

func rank(kind string) int {
	return slices.Index([]string{"sandbox", "copy", "devcontainer", "agents", "tools"}, kind)
}

// current returns the tags that Ensure would use, and EnsureFrom for the images that
// there are copies for, unless their names mean other images by now.
func (b Builder) current(ctx context.Context, m materials, built []sandbox.Image) (map[string]bool, error) {
	tags := make(map[string]bool)
	var failed error
	tag := func(build sandbox.Build) string {
		build, err := tagged(build)
		failed = cmp.Or(failed, err)
		tags[build.Tag] = true
		return build.Tag
	}
	tools := tag(m.tools())
	agents := map[libc]string{glibc: tag(b.agents(tools, m, glibc)), musl: tag(b.agents(tools, m, musl))}
	tag(m.final(agents[glibc]))
	for _, i := range built {
		l := i.Labels
		if l[labelKind] != "copy" {
			continue
		}
		base, err := b.Engine.Image(ctx, l[labelBase])
		if errors.Is(err, sandbox.ErrNoImage) || err == nil && base.ID != l[labelBaseID] {
			continue
		}
		failed = cmp.Or(failed, err)
		kind, has := agent.Kind(l[labelAgent]), contents{libc: libc(l[labelLibc]), closedTmp: l[labelTmp] == "true"}
		now, err := tagged(b.copy(l[labelBaseID], Image{}, agents[agentsFor(kind, has.libc)], kind, has))
		failed = cmp.Or(failed, err)
		if now.Tag == i.Tag {
			tags[l[labelBase]], tags[i.Tag] = true, true
			tag(m.final(i.Tag))
		}
	}
	return tags, failed
}

// Removable returns those of images, which Images returned, that no session and
// nothing current needs; all drops the second condition.
func Removable(images []BuiltImage, all bool) []BuiltImage {
	needed := make(map[string]bool)
	var out []BuiltImage
	for _, i := range images { // what was made of i has come before it
		if len(i.Sessions) > 0 || i.Current && !all || needed[i.Tag] {
			needed[i.image.Labels[labelFrom]] = true
			continue
		}
		out = append(out, i)
	}
	return out
}

// Remove removes i, or returns sandbox.ErrImageInUse.
func (b Builder) Remove(ctx context.Context, i BuiltImage) error {
	return b.Engine.RemoveBuilt(ctx, i.image)
}
