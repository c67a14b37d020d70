package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/gcs/iam"
	"github.com/cloudsigner/cloudsigner/signer"
)

// A service signs URLs as the ambient account, the one that it runs as, or as one of the others that it was told.
type service struct {
	ambient string
	signers map[string]*gcs.Signer // by account
	log     *log.Logger
	mux     *http.ServeMux
}

type serviceConfig struct {
	bucket   string
	ambient  string
	as       []string
	metadata string      // host of the metadata server, "" for Google's
	iam      *url.URL    // nil for Google's
	clock    clock.Clock // nil for the machine's
	log      io.Writer
}

func newService(c serviceConfig) (*service, error) {
	s := &service{ambient: c.ambient, signers: make(map[string]*gcs.Signer), log: log.New(c.log, "keyless: ", 0), mux: http.NewServeMux()}
	token := iam.MetadataToken(nil, c.metadata, nil)
	var errs []error
	for _, account := range append([]string{c.ambient}, c.as...) {
		// To sign as another, its name is all it takes, and the role on it: the token stays that of the ambient account.
		key, err := iam.New(iam.Config{Account: account, Token: token, Endpoint: c.iam})
		if err == nil {
			s.signers[account], err = gcs.New(gcs.Config{Bucket: c.bucket, Key: key, Clock: c.clock})
		}
		errs = append(errs, err)
	}
	s.mux.HandleFunc("GET /{$}", s.about)
	s.mux.HandleFunc("POST /sign", s.sign)
	return s, errors.Join(errs...)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	w.Header().Set("Cache-Control", "no-store") // a signed URL is a secret
	s.mux.ServeHTTP(w, r)
}

func (s *service) about(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, s.ambient)
}

// patience is how long a caller is kept waiting for a signature.
const patience = 15 * time.Second

// sign answers a form with object, for (how long the URL must work), and perhaps method, as (another account) and shorter (yes: a
// URL that dies earlier will do), with what signer.Presigned is in JSON.
func (s *service) sign(w http.ResponseWriter, r *http.Request) {
	account := r.PostFormValue("as")
	if account == "" {
		account = s.ambient
	}
	signs, ok := s.signers[account]
	if !ok {
		http.Error(w, "as: not an account that this service may sign as", http.StatusForbidden)
		return
	}
	life, err := time.ParseDuration(r.PostFormValue("for"))
	if err != nil {
		http.Error(w, "for: say how long the URL must work, like 15m", http.StatusBadRequest)
		return
	}
	request := signer.Request{Method: r.PostFormValue("method"), Key: r.PostFormValue("object"), Expires: life, AllowShorter: r.PostFormValue("shorter") == "yes"}
	if request.Key == "" { // it would be the bucket
		http.Error(w, "object: name one", http.StatusBadRequest)
		return
	}
	if life >= 2*time.Minute {
		request.Window = time.Minute // within a minute the same URL: one signature, and browsers can cache what it shows
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	p, err := signs.Presign(ctx, request)
	switch {
	case r.Context().Err() != nil: // nobody is there to answer
		return
	case errors.Is(err, signer.ErrRemote), ctx.Err() != nil:
		s.log.Printf("signing as %s: %v", account, err) // it says what is missing, which is no business of the caller's
		http.Error(w, "no signature can be had now; the service's log says why", http.StatusBadGateway)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(p)
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
}

// only serves requests to one host: on loopback, a page from elsewhere must not reach it through a name that it controls.
func only(host string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "this is "+host, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
