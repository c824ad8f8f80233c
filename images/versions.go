package images

// Base is the image that the agents image and the default session image are built from.
const Base = "debian:bookworm-slim"

// Pin names one exact release of a vendor's agent and what its packages must hash to.
type Pin struct {
	// Version is the npm version, without the platform suffix that Codex adds to it.
	Version string
	// IntegrityAMD64 and IntegrityARM64 are the npm integrity ("sha512-" and base64) of the package for linux/amd64
	// and linux/arm64, as the registry stated it when the version was pinned.
	IntegrityAMD64, IntegrityARM64 string
}

// Integrity returns the pinned integrity for a Go architecture name, or "" for one the vendor has no binaries for.
func (p Pin) Integrity(goarch string) string {
	switch goarch {
	case "amd64":
		return p.IntegrityAMD64
	case "arm64":
		return p.IntegrityARM64
	}
	return ""
}

// Claude is the pinned Claude Code, from @anthropic-ai/claude-code-linux-x64 and -arm64.
func Claude() Pin {
	return Pin{
		Version:        "2.1.330",
		IntegrityAMD64: "sha512-9Gn+V7DtJ8M1nztP9CeDVl9g3RtrepI7rOFTyPRRnZe8D6zebIHKmC7OvBauucuAP0X0k85SDN/LPVZyjsGezQ==",
		IntegrityARM64: "sha512-V4yanAY5EA5UpwwRPtjSfqDbNqAlUJeVn3NYZw2AgmRHjdpSsLtHAzbxRXfkAnbjwTXzE0uedjQxUY02ARPcsA==",
	}
}

// ClaudeMusl is the same Claude Code for images with musl instead of glibc, such as Alpine's, from
// @anthropic-ai/claude-code-linux-x64-musl and -arm64-musl.
func ClaudeMusl() Pin {
	return Pin{
		Version:        "2.1.330",
		IntegrityAMD64: "sha512-OnduSSPY1b59FA8jTbq20Y1XkDUV0S1OVyvYBNslEbpX79P81JF7Ih4lgYvDKiFnnSv75z4Kv6qLE5DQqogYXA==",
		IntegrityARM64: "sha512-NemfeTqZ30tQDhAeumZgDYoX4ewhAHkN3dbcsyvlgb+yvpKUlcYu5Bor8K+Du5azGe3uy9sftlJxbGhTsCR7zA==",
	}
}

// Codex is the pinned Codex, from @openai/codex, static and so for any libc, whose npm versions are "<Version>-linux-x64" and "-linux-arm64".
func Codex() Pin {
	return Pin{
		Version:        "0.169.0",
		IntegrityAMD64: "sha512-o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==",
		IntegrityARM64: "sha512-NZ/DaQUpcQmxmqee7Z9uC1rzw3GhSbooawcaTe1LN5Yk+WlinUKGdTXJgClRT/9ogQEEM9TWxYzvxPfj5G/xFg==",
	}
}
