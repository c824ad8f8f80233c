package credential

import "time"

// Expires returns when the login ends, as its file says; zero means never or
// unknown. It reads the file and starts nothing.
func (s Source) Expires() (time.Time, error) {
	if s.Mode == ModeEnv {
		return time.Time{}, nil
	}
	data, err := readFile(s.Path)
	if err != nil {
		return time.Time{}, err
	}
	l, err := parse(s.Agent, data)
	return l.expires, err
}
