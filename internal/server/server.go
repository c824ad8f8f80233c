// Package server is the control plane's HTTP API.
package server
