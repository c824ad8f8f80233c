// Package world is a control plane and its runners in one process, with faults between
// them: the real store, dispatcher, server and daemons over connections in memory, and
// agents that print lines which are known beforehand.
//
//	Plane ─ net.Pipe ─ Way (faults) ─ connect.Daemon ─ link (kill -9) ─ sandboxtest.Fake ─ Script
//	  └─ store ──────────── Check: the same events? ──────────── journal ─┘ the same lines? ─┘
//
// Nothing in it needs an engine or a network, and everything that waits does so on
// channels, so that tests can run it in a bubble of testing/synctest, where days pass in an
// instant. [Compare] is also used by the tests of the whole program.
package world
