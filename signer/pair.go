package signer

import (
	"context"
	"fmt"
	"net/http"
)

// PresignPair presigns r for GET and for HEAD, for holders that ask how large an object is before they read it: players, download
// managers, container runtimes. Most schemes sign the method, so that a URL for the one is refused for the other.
//
// r.Method must be empty or GET. There are both or none. Each has its own ExpiresAt, which may be a second apart; with
// Request.Window they are the same unless a window ends in between.
func PresignPair(ctx context.Context, s Signer, r Request) (get, head *Presigned, err error) {
	if r.Method != "" && r.Method != http.MethodGet {
		return nil, nil, &Error{Op: "presign", Field: "Method", Err: fmt.Errorf("%w: a pair is of GET and HEAD; leave Method empty", ErrRequest)}
	}
	if get, err = s.Presign(ctx, r); err != nil {
		return nil, nil, err
	}
	r.Method = http.MethodHead
	if head, err = s.Presign(ctx, r); err != nil {
		return nil, nil, err
	}
	return get, head, nil
}
