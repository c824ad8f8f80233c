// Package images holds what sandbox images are made of: Dockerfiles, the script that fetches the agents, and the pinned
// versions. It has no logic; the runner sends these files to the engine's builder as a build context.
//
// Three images, each built on the user's machine and each from the one before:
//
//	session  (SessionDockerfile)  Debian with the tools that agents expect
//	agents   (AgentsDockerfile)   + the vendors' binaries under /opt/ratchetai; may not be redistributed, so never pushed
//	final    (FinalDockerfile)    + PID 1: what sandboxes start from
//
// Where a session is to start from another image, that takes the place of the first two:
//
//	copy     (CopyDockerfile)     any image + one agent, copied from the agents image
//	final    (FinalDockerfile)    + PID 1
//
// The agents come after the tools and not the other way round, because a second copy of their 751 MB would take 12 s
// and as much disk again.
//
// A build context holds, beside the Dockerfile: ca.crt (agents and session: extra CA certificates in PEM, or an empty
// file), npm-fetch.sh (agents), and sandbox-init (final: see Init). Build arguments are
// listed at the top of each Dockerfile. All of them suit the engine's classic builder, so nothing besides an engine is needed.
package images

import "embed"

// Names of the embedded files, for Files and for the Dockerfile field of a build request.
const (
	AgentsDockerfile  = "agents.Dockerfile"
	SessionDockerfile = "session.Dockerfile"
	FinalDockerfile   = "final.Dockerfile"
	CopyDockerfile    = "copy.Dockerfile"
	FetchScript       = "npm-fetch.sh"
)

// OpenTmp is a Dockerfile's line that lets everybody write to /tmp: older engines give the file system that a session
// has there the mode of the image's.
const OpenTmp = `RUN ["/bin/sh", "-c", "chmod 1777 /tmp"]` + "\n"

// TryClaude is a Dockerfile's line that fails where Claude cannot run.
const TryClaude = `RUN ["/opt/ratchetai/claude/claude", "--version"]` + "\n"

//go:embed agents.Dockerfile session.Dockerfile final.Dockerfile copy.Dockerfile npm-fetch.sh
var files embed.FS

// Files returns the embedded files, read-only, under the names above. Safe for concurrent use.
func Files() embed.FS { return files }
