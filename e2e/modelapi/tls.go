package modelapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Front is the server under the vendors' own names, by TLS with certificates of
// its own authority: whoever leads those names to Addr and trusts CA takes it for
// the vendors. Nothing else can stand in for the host at which Claude renews its
// login.
type Front struct {
	Addr string // of a port of 127.0.0.1
	CA   []byte // PEM

	http *http.Server
	done chan struct{} // closed when the accept loop has ended; nothing is sent
}

// Front starts a front for hosts. The caller closes it before the server.
func (s *Server) Front(hosts ...string) (*Front, error) {
	ca, cert, err := certificates(hosts)
	if err != nil {
		return nil, fmt.Errorf("model api: %w", err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("model api: %w", err)
	}
	f := &Front{Addr: inner.Addr().String(), CA: ca, done: make(chan struct{}), http: &http.Server{Handler: s}}
	listener := tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	go func() {
		defer close(f.done)
		_ = f.http.Serve(listener) // always ErrServerClosed, from Close
	}()
	return f, nil
}

// Close cuts every connection.
func (f *Front) Close() error {
	err := f.http.Close()
	<-f.done
	return err
}

// certificates makes an authority and a certificate of it for hosts, which live
// for a day.
func certificates(hosts []string) (ca []byte, cert tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, cert, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "scripted authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, cert, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, cert, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), key)
	if err != nil {
		return nil, cert, err
	}
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	return ca, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: leafKey}, nil
}
