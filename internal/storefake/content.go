package storefake

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"sort"
)

// content is bytes that are stored. They do not change.
type content interface {
	io.ReaderAt
	Size() int64
}

// open returns content from its beginning.
func open(c content) *io.SectionReader { return io.NewSectionReader(c, 0, c.Size()) }

// keep takes in what r has, into a file if the store has a directory and into memory otherwise.
func (s *Store) keep(r io.Reader) (content, error) {
	if s.dir == "" {
		data, err := io.ReadAll(r)
		return bytes.NewReader(data), err
	}
	f, err := os.CreateTemp(s.dir, "content-")
	if err != nil {
		return nil, fmt.Errorf("the store's directory: %w", err)
	}
	c := &filed{path: f.Name()}
	// Who reads it holds it. A request that is under way while the object is replaced reads it to its end.
	runtime.AddCleanup(c, func(path string) { os.Remove(path) }, c.path)
	c.size, err = io.Copy(f, r)
	return c, errors.Join(err, f.Close())
}

// filed is content in a file of its own, which goes with it. The file is not kept open: there may be thousands.
type filed struct {
	path string
	size int64
}

func (c *filed) Size() int64 { return c.size }

func (c *filed) ReadAt(p []byte, off int64) (int, error) {
	f, err := os.Open(c.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := f.ReadAt(p, off)
	runtime.KeepAlive(c)
	return n, err
}

// joined is one content after another.
type joined struct {
	parts []content
	ends  []int64 // of each
}

func (j *joined) add(c content) {
	j.ends = append(j.ends, j.Size()+c.Size())
	j.parts = append(j.parts, c)
}

func (j *joined) Size() int64 {
	if len(j.ends) == 0 {
		return 0
	}
	return j.ends[len(j.ends)-1]
}

func (j *joined) ReadAt(p []byte, off int64) (n int, err error) {
	for i := sort.Search(len(j.ends), func(i int) bool { return j.ends[i] > off }); n < len(p); i++ {
		if i == len(j.ends) {
			return n, io.EOF
		}
		start := j.ends[i] - j.parts[i].Size()
		some := p[n:min(int64(len(p)), int64(n)+j.ends[i]-off)]
		got, err := j.parts[i].ReadAt(some, off-start)
		n, off = n+got, off+int64(got)
		if got < len(some) {
			return n, err
		}
	}
	return n, nil
}

// add writes content to a hash.
func add(sum hash.Hash, c content) {
	if _, err := io.Copy(sum, open(c)); err != nil {
		panic(fmt.Errorf("storefake: a file of the store's directory cannot be read: %w", err)) // a store that loses bytes is none
	}
}
