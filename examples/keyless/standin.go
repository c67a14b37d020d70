package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// A standIn plays three services of Google's on loopback: the metadata server, IAM Service Account Credentials, and the place
// where public keys are published. Its accounts have throwaway keys, and its token is random, made for the run.
//
// Where a request is not the documented one to the byte, it answers 400 and notes what was wrong.
type standIn struct {
	server  *http.Server
	host    string
	ambient string // who holds the token
	token   string
	keys    map[string]*rsa.PrivateKey // by account

	mu      sync.Mutex
	granted map[string]bool // accounts on which the ambient one has the role
	script  []play          // for the next calls of signBlob
	calls   int             // of signBlob
	faults  []string        // what was wrong with requests

	spoiled func(path string, body []byte) []byte // what a test makes of good answers, else nil
}

// A play is how a call is answered if not with a signature at once.
type play struct {
	status     int           // 0: sign
	retryAfter string        // the header
	hold       chan struct{} // answer when it is closed, or else the request ends
	begun      chan struct{} // closed when the call is there
	left       chan struct{} // closed when the request ends before hold is closed
}

func startStandIn(ambient string, others ...string) (*standIn, error) {
	g := &standIn{ambient: ambient, token: "ya29." + rand.Text(), keys: make(map[string]*rsa.PrivateKey), granted: map[string]bool{ambient: true}}
	for _, account := range append([]string{ambient}, others...) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		g.keys[account] = key
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.host = l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/{what}", g.metadata)
	mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{verb}", g.signBlob)
	mux.HandleFunc("GET /service_accounts/v1/metadata/jwk/{account}", g.publicKeys)
	g.server = newServer(only(g.host, mux))
	go g.server.Serve(l)
	return g, nil
}

func (g *standIn) url(path string) *url.URL {
	return &url.URL{Scheme: "http", Host: g.host, Path: path}
}

// metadata answers only those who say that they mean it.
func (g *standIn) metadata(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	switch {
	case r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "":
		g.fault(w, "metadata: no Metadata-Flavor: Google")
	case r.PathValue("what") == "email":
		io.WriteString(w, g.ambient)
	case r.PathValue("what") == "token":
		g.write(w, r, map[string]any{"access_token": g.token, "expires_in": 3599, "token_type": "Bearer"})
	default:
		http.NotFound(w, r)
	}
}

func (g *standIn) signBlob(w http.ResponseWriter, r *http.Request) {
	p := g.next()
	if p.begun != nil {
		close(p.begun)
	}
	account, ok := strings.CutSuffix(r.PathValue("verb"), ":signBlob")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var request struct {
		Payload []byte `json:"payload"`
	}
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	documented, _ := json.Marshal(request)
	switch {
	case !ok:
		g.fault(w, "signBlob: the path is "+r.URL.Path)
	case r.URL.RawQuery != "alt=json&prettyPrint=false":
		g.fault(w, "signBlob: the query is "+r.URL.RawQuery)
	case r.Header.Get("Content-Type") != "application/json":
		g.fault(w, "signBlob: Content-Type is "+r.Header.Get("Content-Type"))
	case err != nil || !bytes.Equal(body, documented):
		g.fault(w, "signBlob: the body is not the documented one")
	case !bytes.HasPrefix(request.Payload, []byte("GOOG4-RSA-SHA256\n")):
		g.fault(w, "signBlob: the payload is no string to sign")
	case r.Header.Get("Authorization") != "Bearer "+g.token:
		refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "")
	case g.keys[account] == nil:
		refuse(w, http.StatusNotFound, "NOT_FOUND", "")
	case p.status == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", p.retryAfter)
		refuse(w, p.status, "RESOURCE_EXHAUSTED", "")
	case p.status == http.StatusForbidden || !g.mayUse(account):
		refuse(w, http.StatusForbidden, "PERMISSION_DENIED", "iam.serviceAccounts.signBlob")
	case p.status != 0:
		refuse(w, p.status, "UNAVAILABLE", "")
	case p.waits(r):
		hash := sha256.Sum256(request.Payload)
		signature, err := rsa.SignPKCS1v15(rand.Reader, g.keys[account], crypto.SHA256, hash[:])
		if err != nil {
			g.fault(w, "signBlob: "+err.Error())
			return
		}
		g.write(w, r, map[string]any{"keyId": "throwaway", "signedBlob": signature})
	}
}

// waits holds an answer back, and reports whether the one who asked is still there.
func (p play) waits(r *http.Request) bool {
	if p.hold == nil {
		return true
	}
	select {
	case <-p.hold:
		return true
	case <-r.Context().Done():
		close(p.left)
		return false
	}
}

// publicKeys publishes an account's key as a JWK.
func (g *standIn) publicKeys(w http.ResponseWriter, r *http.Request) {
	key := g.keys[r.PathValue("account")]
	if key == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=900")
	g.write(w, r, map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "throwaway",
		"n": base64URL(key.N.Bytes()), "e": base64URL(big.NewInt(int64(key.E)).Bytes()),
	}}})
}

func (g *standIn) next() (p play) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if len(g.script) > 0 {
		p, g.script = g.script[0], g.script[1:]
	}
	return p
}

// plays sets what the next calls get, and starts to count.
func (g *standIn) plays(script ...play) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.script, g.calls = script, 0
}

func (g *standIn) counted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

func (g *standIn) grant(account string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.granted[account] = true
}

func (g *standIn) mayUse(account string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.granted[account]
}

func (g *standIn) fault(w http.ResponseWriter, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, what)
	refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "")
}

// wrong is an error that says what was wrong with the requests until now, nil for nothing.
func (g *standIn) wrong() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.faults) == 0 {
		return nil
	}
	return fmt.Errorf("the stand-in was asked something else than Google documents: %s", strings.Join(g.faults, "; "))
}

func refuse(w http.ResponseWriter, code int, status, permission string) {
	e := map[string]any{"code": code, "status": status}
	if permission != "" {
		e["details"] = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
			"domain": "iam.googleapis.com", "metadata": map[string]string{"permission": permission}}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"error": e})
}

func (g *standIn) write(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		g.fault(w, err.Error())
		return
	}
	if g.spoiled != nil {
		body = g.spoiled(r.URL.Path, body)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
