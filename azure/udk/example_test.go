package udk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/azure/udk"
	"github.com/cloudsigner/cloudsigner/clock"
	"github.com/cloudsigner/cloudsigner/signer"
)

// blobService answers like an account's blob service, with nothing behind it.
type blobService struct{ deny bool }

func (s blobService) RoundTrip(r *http.Request) (*http.Response, error) {
	status, answer := http.StatusOK, `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>
		<SignedOid>f27c2809-dfd7-4dbc-b5ed-b8b3b9341335</SignedOid><SignedTid>72f988bf-86f1-41af-91ab-2d7cd011db47</SignedTid>
		<SignedStart>2026-11-25T11:40:00Z</SignedStart><SignedExpiry>2026-12-02T11:40:00Z</SignedExpiry>
		<SignedService>b</SignedService><SignedVersion>2020-12-06</SignedVersion><Value>c29tZSBrZXksIG9mIHRoaXJ0eS10d28gYnl0ZXMuLi4=</Value></UserDelegationKey>`
	if s.deny {
		status, answer = http.StatusForbidden, `<Error><Code>AuthorizationPermissionMismatch</Code></Error>`
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// token stands for what package azidentity, or the instance's metadata service, gives.
func token(ctx context.Context) (string, time.Time, error) {
	return "eyJ0eXAi.x.y", time.Date(2026, 11, 25, 13, 0, 0, 0, time.UTC), nil
}

// In your program leave out the client and the clock.
func Example() {
	ctx, client := context.Background(), &http.Client{Transport: blobService{}}
	now := clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))

	keys, err := udk.New(udk.Config{Account: "myaccount", Token: token, Client: client, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: keys, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)

	// A SAS dies with its key.
	p, err = s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 30 * 24 * time.Hour, AllowShorter: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p, "by its", p.LimitedBy)
	// Output:
	// GET https://myaccount.blob.core.windows.net/photos/2026/cat.jpg?REDACTED until 2026-11-25T12:15:00Z
	// GET https://myaccount.blob.core.windows.net/photos/2026/cat.jpg?REDACTED until 2026-12-02T11:40:00Z by its credentials
}

// An error says what is missing and how to get it.
func ExampleNew_roleMissing() {
	client := &http.Client{Transport: blobService{deny: true}}
	keys, err := udk.New(udk.Config{Account: "myaccount", Token: token, Client: client})
	if err != nil {
		log.Fatal(err)
	}
	_, err = keys.Key(context.Background(), time.Now().Add(time.Hour))
	var e *signer.Error
	if errors.As(err, &e) && errors.Is(err, signer.ErrRemote) {
		fmt.Println(e.Code)
	}
	_, command, _ := strings.Cut(err.Error(), "az role")
	command, _, _ = strings.Cut(command, " it has")
	fmt.Println("az role" + command)
	// Output:
	// AuthorizationPermissionMismatch
	// az role assignment create --role "Storage Blob Delegator" --assignee CALLER --scope "$(az storage account show --name myaccount --query id --output tsv)"
}

// One process fetches the key, and others take it from a cache that all share. Who can read the cache can sign, so encrypt what
// goes into it.
func ExampleFetch() {
	ctx, client := context.Background(), &http.Client{Transport: blobService{}}
	now := clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))

	// Value shadows the key's own Value, a Secret, which does not encode.
	type record struct {
		azure.UserDelegationKey
		Value []byte
	}

	key, err := udk.Fetch(ctx, udk.Config{Account: "myaccount", Token: token, Client: client, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(record{key, key.Value.Reveal()})
	if err != nil {
		log.Fatal(err)
	}

	var r record // in the other process
	if err := json.Unmarshal(text, &r); err != nil {
		log.Fatal(err)
	}
	key = r.UserDelegationKey
	key.Value = signer.NewSecret(r.Value)
	s, err := azure.New(azure.Config{Account: "myaccount", Container: "photos", Keys: key, Clock: now})
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Presign(ctx, signer.Request{Key: "2026/cat.jpg", Expires: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p)
	// Output: GET https://myaccount.blob.core.windows.net/photos/2026/cat.jpg?REDACTED until 2026-11-25T12:15:00Z
}
