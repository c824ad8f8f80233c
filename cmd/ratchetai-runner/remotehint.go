package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// remoteHint says what to do about an error of a control plane, or nothing.
func remoteHint(err error) string {
	var refused *api.Error
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.Is(err, errNoControlPlane):
		return "hint: start one with `" + name + " up`, or name one with --url and " + tokenVariable
	case errors.Is(err, errNoToken):
		return "hint: make one where you are signed in, with `" + name + " token add NAME`, and set " + tokenVariable
	case errors.Is(err, errNotBegun):
		return "hint: `" + name + " logs -f` waits for it"
	case errors.Is(err, connect.ErrRefused):
		return "hint: `" + name + " device add NAME` makes another token, for RATCHET_DEVICE_TOKEN; what the control plane lacks is kept until then"
	case errors.As(err, &refused):
		return refusedHint(refused)
	case errors.Is(err, api.ErrNoControlPlane):
		return "hint: is the address right, with its path if it has one?"
	case errors.Is(err, api.ErrPlain):
		return "hint: give the control plane a certificate, or reach it through a VPN or an SSH tunnel"
	case errors.As(err, &unknown), errors.As(err, &invalid):
		return "hint: SSL_CERT_FILE names a file with the authority to trust, besides SSL_CERT_DIR"
	case errors.As(err, &host):
		return "hint: use the name that the certificate is for"
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "hint: it speaks plain http: does the address begin with http://?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "hint: is it running? `" + name + " up` starts one here"
	case errors.As(err, &dns):
		return "hint: is the host's name right, and the network there?"
	}
	return ""
}

func refusedHint(e *api.Error) string {
	switch {
	case e.Code == api.CodeUnauthorized:
		return "hint: `" + name + " token add NAME` makes another token where one is valid, for " + tokenVariable
	case e.Hint != "":
		return "hint: " + term.Line(e.Hint)
	case e.Code == api.CodeForbidden:
		return "hint: the token is for something else"
	}
	return ""
}

// remoteCode is the exit code of a request that the control plane refused.
func remoteCode(e *api.Error) int {
	switch e.Code {
	case api.CodeInvalid, api.CodeNotFound, api.CodeConflict, api.CodeTooLarge:
		return exitUsage
	}
	return exitErrored
}
