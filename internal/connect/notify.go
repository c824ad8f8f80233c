package connect

import (
	"net"
	"strings"
)

// Notify tells systemd something (sd_notify(3)), such as "READY=1", by the socket that
// NOTIFY_SOCKET names. Without one it does nothing.
func Notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(socket, "@"); ok { // an abstract one
		socket = "\x00" + rest
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
