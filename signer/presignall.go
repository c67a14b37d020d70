package signer

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
)

// A ParallelSigner is a Signer whose signatures take long: a call to a key service, or milliseconds of a processor. Parallel
// says how many calls of Presign at once pay; 1 or less means one. gcs.Signer is one.
type ParallelSigner interface {
	Parallel() int
}

// PresignAll presigns many requests with one Signer. It yields one pair for each of reqs, in their order; an error does not end
// it, and its *Error has the place of the request, from 0, as Index. When ctx ends, the next pair is nil and ctx.Err(), and
// the last.
//
// Memory does not grow with the number of requests. They are signed one by one as they are asked for, but where s is a
// ParallelSigner, or wraps one (see As), Parallel() at once: so many requests are read ahead, and copied. No call of s is
// running any more when the iteration is over.
func PresignAll(ctx context.Context, s Signer, reqs iter.Seq[Request]) iter.Seq2[*Presigned, error] {
	return func(yield func(*Presigned, error) bool) {
		i := 0
		deliver := func(r result) bool {
			if r.err == nil {
				i++
				return yield(r.p, nil)
			}
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return false
			}
			i++
			return yield(nil, indexed(r.err, i-1))
		}
		if p, ok := As[ParallelSigner](s); ok && p.Parallel() > 1 {
			presignParallel(ctx, s, reqs, p.Parallel(), deliver)
			return
		}
		for r := range reqs {
			if !deliver(presign(ctx, s, r)) {
				return
			}
		}
	}
}

// A result is one pair.
type result struct {
	p   *Presigned
	err error
}

// presign signs, unless ctx has ended.
func presign(ctx context.Context, s Signer, r Request) result {
	if err := ctx.Err(); err != nil {
		return result{nil, err}
	}
	p, err := s.Presign(ctx, r)
	return result{p, err}
}

// presignParallel keeps up to n calls of s running and delivers their results in order, until deliver has had enough.
func presignParallel(ctx context.Context, s Signer, reqs iter.Seq[Request], n int, deliver func(result) bool) {
	ctx, cancel := context.WithCancel(ctx)
	var running []chan result // the oldest first
	defer func() {
		cancel()
		for _, c := range running {
			<-c
		}
	}()
	oldest := func() result {
		r := <-running[0]
		running = running[1:]
		return r
	}
	for r := range reqs {
		if len(running) == n && !deliver(oldest()) {
			return
		}
		// The caller may use its maps again for the next request.
		r.Header, r.Query = r.Header.Clone(), url.Values(http.Header(r.Query).Clone())
		c := make(chan result, 1)
		running = append(running, c)
		go func() { c <- presign(ctx, s, r) }()
	}
	for len(running) > 0 {
		if !deliver(oldest()) {
			return
		}
	}
}

// indexed is err with the place of its request. What is no *Error becomes one with the same text.
func indexed(err error, i int) error {
	if e, ok := err.(*Error); ok {
		at := *e
		at.Index = i
		return &at
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, indexed(e, i))
		}
		if again := errors.Join(errs...); again.Error() == err.Error() { // as errors.Join had made it
			return again
		}
	}
	return &Error{Index: i, Err: err}
}
