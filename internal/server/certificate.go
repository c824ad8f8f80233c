package server

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// certificateEvery is how often the files are looked at, when somebody connects.
const certificateEvery = 5 * time.Second

// Certificate returns the certificate of two PEM files for tls.Config.GetCertificate. When
// the files change it reads them anew; as long as they are damaged it stays with the last
// good one.
func Certificate(certFile, keyFile string, log logrus.FieldLogger) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	if err := c.load(); err != nil {
		return nil, err
	}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil }, nil
}

type certificate struct {
	certFile, keyFile string
	log               logrus.FieldLogger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	version string // of the files
	looked  time.Time
}

func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.looked) < certificateEvery {
		return c.current
	}
	if v := c.files(); v != c.version {
		if err := c.load(); err != nil {
			c.log.WithError(err).Warn("the new certificate is not used")
		} else {
			c.log.Info("certificate changed")
		}
	}
	c.looked = c.now()
	return c.current
}

// load reads the files.
func (c *certificate) load() error {
	version := c.files()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.certFile, err)
	}
	c.current, c.version, c.looked = &pair, version, c.now()
	return nil
}

// files says which version of the files is there.
func (c *certificate) files() (version string) {
	for _, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			version += fmt.Sprintln(info.ModTime().UnixNano(), info.Size())
		}
	}
	return version
}
