// Package engineproxy stands between a runner and the container engine's socket and
// passes on what sandboxes need, and nothing else: whoever has the socket itself is root
// on the machine.
//
//	runner --> socket of the proxy --> checks, a new request --> the engine's socket
//
// A filter of methods and paths is not enough: the same POST /containers/create makes a
// sandbox and a container that mounts the machine's root directory. So bodies are read
// too. What goes to the engine is built from what was checked, never what came: fields
// that are not known, spelled otherwise or given twice do not arrive.
//
// A container is made only as package sandbox makes it: an ordinary user, no
// capabilities, no network, no devices, limits, a read-only root, and mounts only of
// directories that the machine's owner named. It gets the proxy's label, and only
// containers that have it can be looked at, attached to, run commands in or removed.
// Images are built by the classic builder, whose containers are not on the machine's own
// network, and only images named ratchetai-… are built or removed.
//
// What remains to a runner that somebody else controls is in docs/SECURITY.md.
package engineproxy
