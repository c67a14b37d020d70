package storefake

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
)

// This file is for the store's owner, who needs no signature.

// Put stores an object as if it had been uploaded with these headers. Both are copied.
func (s *Store) Put(key string, data []byte, header http.Header) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("storefake: put: the name of an object has 1 to %d bytes, not %d", maxKey, len(key))
	}
	if size := int64(len(data)); size > s.maxObject {
		return fmt.Errorf("storefake: put: %w", tooLarge{size, s.maxObject})
	}
	stored, err := storedHeader(header, "x-amz-", "binary/octet-stream", 2<<10)
	if err != nil {
		return fmt.Errorf("storefake: put: %w", err)
	}
	release, err := s.objects.reserve(int64(len(data)))
	if err != nil {
		return fmt.Errorf("storefake: put: %w", err)
	}
	kept, err := s.keep(bytes.NewReader(data))
	if err != nil {
		release()
		return fmt.Errorf("storefake: put: %w", err)
	}
	if err := s.save(newObject(key, kept, stored, s.Clock.Now()), condition{}, release); err != nil {
		return fmt.Errorf("storefake: put: %w", err)
	}
	return nil
}

// Get returns copies of an object and of the headers that are sent with it.
func (s *Store) Get(key string) (data []byte, header http.Header, ok bool) {
	obj, err := s.objects.get(key)
	if err != nil {
		return nil, nil, false
	}
	if data, err = io.ReadAll(open(obj.data)); err != nil {
		return nil, nil, false
	}
	header = obj.header.Clone()
	header.Set("ETag", obj.etag)
	return data, header, true
}

// Delete removes an object, if it is there.
func (s *Store) Delete(key string) { s.objects.remove(key, condition{}) }

// Keys returns the names of all objects, in the order of their bytes.
func (s *Store) Keys() []string {
	s.objects.mu.RLock()
	defer s.objects.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.objects.byKey))
}
