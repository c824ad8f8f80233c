package server

import (
	"sync"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// uploadsMax bounds the bytes of all batches that are being read and stored at a time: about
// eight of the largest, or thousands of ordinary ones.
const uploadsMax = 16 * api.BatchMax

// budget is memory that uploads share. It counts what has arrived, not what was
// announced, so that a slow one takes no place.
type budget struct {
	mu   sync.Mutex
	left int
}

// take takes n bytes, if there are so many.
func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}
