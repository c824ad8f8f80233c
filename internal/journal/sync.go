package journal

import "time"

// syncInterval is the time for which fsyncs are gathered, and so what a power cut can take of acknowledged entries.
const syncInterval = 50 * time.Millisecond

// Sync returns when everything appended before is on disk. It returns the sticky error of the journal.
func (j *Journal) Sync() error {
	j.mu.Lock()
	closed, err := j.closed, j.err
	j.mu.Unlock()
	if closed || err != nil { // Close itself syncs
		return err
	}
	return j.sync()
}

// sync calls fsync if anything has been appended since the last time. After a failed fsync the kernel may have dropped
// the pages, so that a second try would succeed and mean nothing: the error is sticky.
func (j *Journal) sync() error {
	j.syncMu.Lock()
	defer j.syncMu.Unlock()
	j.mu.Lock()
	size, err := j.size, j.err
	j.mu.Unlock()
	if err != nil || size == j.synced {
		return err
	}
	if err := j.file.Sync(); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.fail("sync", err)
	}
	j.synced = size
	return nil
}

// syncLoop syncs in the background until Close. It has no timer running while nothing is appended. It drops errors
// because they are sticky: the next Append returns them.
func (j *Journal) syncLoop() {
	defer close(j.done)
	timer := time.NewTimer(syncInterval)
	defer timer.Stop()
	for {
		select {
		case <-j.dirty:
		case <-j.stop:
			return
		}
		timer.Reset(syncInterval)
		select {
		case <-timer.C:
		case <-j.stop:
			return
		}
		_ = j.sync()
	}
}
