package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/server"
)

// serveFlags are what serve is told.
type serveFlags struct {
	listen, data, public   string
	cert, key              string
	adminName, adminSecret string
	retention              time.Duration
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the control plane: it takes tasks, gives them to runners and shows what happens",
		Long: `Run the control plane: it takes tasks, gives them to runners (connect) and shows what happens.
It runs until SIGTERM or Ctrl-C; its database stays. The first start prints a link with which its owner is
made; --admin-name and --admin-password-file make the owner without one, or change the password.`,
		Args: only(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config, err := a.controlPlaneConfig(f)
			if err != nil {
				return err
			}
			password, err := f.password()
			if err != nil {
				return err
			}
			cp, err := startControlPlane(ctx, config)
			if err != nil {
				return err
			}
			var link string
			if password != "" {
				err = cp.Server.SetOwner(ctx, f.adminName, password)
			} else {
				link, err = cp.Server.SetupLink(ctx)
			}
			if err != nil {
				cp.Stop()
				return errors.Join(err, cp.Wait())
			}
			fmt.Fprintf(a.Out, "control plane: %s\n", cp.URL)
			if link != "" {
				fmt.Fprintf(a.Out, "make its owner, once: %s%s\n", strings.TrimRight(cp.URL.String(), "/"), link)
			}
			if tell := a.notify(); tell != nil {
				go cp.watch(ctx, tell, a.getenv("WATCHDOG_USEC"))
			}
			return cp.Wait()
		},
	}
	fl := c.Flags()
	f.addListen(c)
	fl.StringVar(&f.data, "data", "", dataUsage)
	fl.StringVar(&f.cert, "tls-cert", "", "certificate file, PEM; read again when it changes")
	fl.StringVar(&f.key, "tls-key", "", "key file of --tls-cert, PEM")
	fl.StringVar(&f.adminName, "admin-name", "", "name of the owner")
	fl.StringVar(&f.adminSecret, "admin-password-file", "", "file with the owner's password")
	c.AddCommand(a.serveBackup(), a.serveRestore())
	return c
}

// addListen adds what up has as well.
func (f *serveFlags) addListen(c *cobra.Command) {
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:7717", "address to listen on, HOST:PORT")
	c.Flags().StringVar(&f.public, "public-url", "", "address that people and runners use, such as https://example.org/ratchet behind a proxy")
	c.Flags().DurationVar(&f.retention, "retention", 30*24*time.Hour, "how long finished tasks are kept, with their sessions; 0: for ever")
}

// controlPlaneConfig checks the flags; the error names everything that is wrong.
func (a *app) controlPlaneConfig(f serveFlags) (controlPlaneConfig, error) {
	c := controlPlaneConfig{Listen: f.listen, Data: f.data, Retention: f.retention, Version: version, Log: a.log}
	var problems []error
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		problems = append(problems, fmt.Errorf("--listen %q is no HOST:PORT", f.listen))
	}
	if f.public != "" {
		if c.Public, err = publicURL(f.public); err != nil {
			problems = append(problems, err)
		}
	}
	if (f.cert == "") != (f.key == "") {
		problems = append(problems, errors.New("--tls-cert and --tls-key belong together"))
	}
	if (f.adminName == "") != (f.adminSecret == "") {
		problems = append(problems, errors.New("--admin-name and --admin-password-file belong together"))
	}
	if f.retention < 0 {
		problems = append(problems, fmt.Errorf("--retention %v is less than 0", f.retention))
	}
	if err := errors.Join(problems...); err != nil {
		return c, usageError{err}
	}
	if !a.verbose {
		a.log.SetLevel(logrus.InfoLevel)
	}
	if f.cert != "" {
		if c.Certificate, err = server.Certificate(f.cert, f.key, a.log); err != nil {
			return c, usageError{err}
		}
	}
	a.warnPlain(host, c.Certificate, c.Public)
	c.Data, err = a.dataDir(f.data)
	return c, err
}

// warnPlain says what it means to listen for others without TLS.
func (a *app) warnPlain(host string, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), public *url.URL) {
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && ip.IsLoopback()
	if local || certificate != nil || public != nil && public.Scheme == "https" {
		return
	}
	a.log.Warn("other machines can connect, without TLS: whoever sits on the way reads tokens and sessions. " +
		"Give serve --tls-cert and --tls-key, or --public-url https://… if a proxy does TLS, or keep others away by a firewall")
}

func publicURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--public-url %q is not like https://example.org/ratchet", text)
	}
	return u, nil
}

// password is the owner's, of --admin-password-file; empty without one.
func (f serveFlags) password() (string, error) {
	if f.adminSecret == "" {
		return "", nil
	}
	data, err := os.ReadFile(f.adminSecret)
	if err != nil {
		return "", usageError{fmt.Errorf("--admin-password-file: %w", err)}
	}
	password := strings.TrimRight(string(data), "\r\n")
	if password == "" {
		return "", usageError{fmt.Errorf("--admin-password-file: %s is empty", f.adminSecret)}
	}
	return password, nil
}
