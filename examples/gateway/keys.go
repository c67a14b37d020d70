package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

// keys is keys.json: who may sign, by scheme.
type keys struct {
	S3 *struct {
		Region string
		Keys   map[string]string
	}
	GCS *struct {
		HMAC     map[string]string
		Accounts []string
	}
	CDN *struct {
		URL, Bucket string
		Keys        map[string]string
	}
	Azure *struct {
		Account string
		Keys    []string
	}
	OSS *struct {
		Region string
		Keys   map[string]string
	}
}

// newVerifier returns a Verifier for the schemes that text names, all at one endpoint, with the bucket in the path. Cloud CDN
// has an address of its own, because its URLs have neither a bucket nor a port.
func newVerifier(text []byte, endpoint *url.URL) (signer.Verifier, error) {
	var k keys
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&k); err != nil {
		return nil, err
	}
	var all []signer.Verifier
	var errs []error
	add := func(scheme string, v signer.Verifier, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", scheme, err))
			return
		}
		all = append(all, v)
	}
	if c := k.S3; c != nil {
		v, err := s3.NewVerifier(s3.VerifierConfig{
			Region: c.Region, Endpoint: endpoint, Addressing: signer.AddressingPath,
			Lookup: func(_ context.Context, id string) (s3.Credentials, error) {
				secret, err := lookup(c.Keys, id)
				return s3.Credentials{AccessKeyID: id, SecretKey: secret}, err
			},
		})
		add("s3", v, err)
	}
	if c := k.GCS; c != nil {
		config := gcs.VerifierConfig{Accounts: c.Accounts, Endpoint: endpoint, Addressing: signer.AddressingPath}
		if c.HMAC != nil {
			config.Secret = func(_ context.Context, id string) (signer.Secret, error) { return lookup(c.HMAC, id) }
		}
		if c.Accounts != nil {
			var err error
			if config.Keys, err = gcs.PublicKeys(gcs.PublicKeysConfig{}); err != nil {
				errs = append(errs, err)
			}
		}
		v, err := gcs.NewVerifier(config)
		add("gcs", v, err)
	}
	if c := k.CDN; c != nil {
		base, err := url.Parse(c.URL)
		if err != nil {
			return nil, errors.New("cdn: url is no URL; https://media.example.com is one")
		}
		config := cdn.VerifierConfig{BaseURL: base, Bucket: c.Bucket}
		for _, name := range slices.Sorted(maps.Keys(c.Keys)) {
			key, err := cdn.ParseKey(name, c.Keys[name])
			if err != nil {
				errs = append(errs, err)
			}
			config.Keys = append(config.Keys, key)
		}
		v, err := cdn.NewVerifier(config)
		add("cdn", v, err)
	}
	if c := k.Azure; c != nil {
		var secrets []signer.Secret
		for _, text := range c.Keys {
			key, err := azure.SharedKey(c.Account, text)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			secrets = append(secrets, key.Secret())
		}
		v, err := azure.NewVerifier(azure.VerifierConfig{
			Account: c.Account, Endpoint: endpoint, Addressing: signer.AddressingPath,
			AccountKeys: func(context.Context) ([]signer.Secret, error) { return secrets, nil },
		})
		add("azure", v, err)
	}
	if c := k.OSS; c != nil {
		v, err := oss.NewVerifier(oss.VerifierConfig{
			Region: c.Region, Endpoint: endpoint, Addressing: signer.AddressingPath,
			Lookup: func(_ context.Context, id string) (oss.Credentials, error) {
				secret, err := lookup(c.Keys, id)
				return oss.Credentials{AccessKeyID: id, AccessKeySecret: secret}, err
			},
		})
		add("oss", v, err)
	}
	if len(all)+len(errs) == 0 {
		errs = append(errs, errors.New("it names nobody who may sign"))
	}
	return signer.AnyOf(all...), errors.Join(errs...)
}

func lookup(secrets map[string]string, id string) (signer.Secret, error) {
	secret, ok := secrets[id]
	if !ok || secret == "" {
		return signer.Secret{}, signer.ErrUnknownKey
	}
	return signer.NewSecret([]byte(secret)), nil
}
