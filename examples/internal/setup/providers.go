package setup

import (
	"errors"
	"net/url"

	"github.com/cloudsigner/cloudsigner/azure"
	"github.com/cloudsigner/cloudsigner/cdn"
	"github.com/cloudsigner/cloudsigner/gcs"
	"github.com/cloudsigner/cloudsigner/oss"
	"github.com/cloudsigner/cloudsigner/s3"
	"github.com/cloudsigner/cloudsigner/signer"
)

func (in *inputs) s3() (signer.Signer, error) {
	in.Region = in.or(in.Region, "AWS_REGION", "AWS_DEFAULT_REGION")
	id, secret := in.pair("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", ", and AWS_SESSION_TOKEN for temporary ones")
	return s3.New(s3.Config{
		Bucket:      in.bucket(),
		Region:      in.Region,
		Endpoint:    in.url,
		Credentials: s3.Credentials{AccessKeyID: id, SecretKey: secret, SessionToken: signer.NewSecret([]byte(in.getenv("AWS_SESSION_TOKEN")))},
	})
}

// gcs signs as a service account if there is a file with its key, else with an HMAC key.
func (in *inputs) gcs() (signer.Signer, error) {
	const variable = "GOOGLE_APPLICATION_CREDENTIALS"
	c := gcs.Config{Bucket: in.bucket(), Endpoint: in.url}
	var err error
	if path := in.getenv(variable); path != "" {
		text := in.file(variable, path)
		if text == nil {
			return nil, nil
		}
		c.Key, err = gcs.ServiceAccountKey(text)
	} else {
		id, secret := in.pair("GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY", " to an HMAC key, or "+variable+" to the file of a service account's key (examples/keyless signs without either)")
		c.Key, err = gcs.HMACKey(id, secret)
	}
	if err != nil {
		in.errs = append(in.errs, err)
		return nil, nil // New would say that there is no key
	}
	return gcs.New(c)
}

func (in *inputs) cdn() (signer.Signer, error) {
	for _, flag := range []struct{ name, value, why string }{
		{"-endpoint", in.Endpoint, "where clients reach the CDN, https://media.example.com perhaps"},
		{"-key-name", in.KeyName, "as the key is called at the backend"},
		{"-key-file", in.KeyFile, "the file that was made with the key"},
	} {
		if flag.value == "" {
			in.wrong("%s is missing: %s", flag.name, flag.why)
		}
	}
	if len(in.errs) > 0 {
		return nil, nil
	}
	text := in.file("-key-file", in.KeyFile)
	if text == nil {
		return nil, nil
	}
	key, err := cdn.ParseKey(in.KeyName, string(text))
	if err != nil {
		in.errs = append(in.errs, err)
		return nil, nil
	}
	return cdn.New(cdn.Config{BaseURL: in.url, Bucket: in.Bucket, Key: key})
}

func (in *inputs) azure() (signer.Signer, error) {
	in.Account = in.or(in.Account, "AZURE_STORAGE_ACCOUNT")
	c := azure.Config{Account: in.Account, Container: in.bucket(), Endpoint: in.url}
	if c.Account == "" {
		in.wrong("-account is missing; name the storage account, or set AZURE_STORAGE_ACCOUNT")
		c.Account = "standin"
	}
	text := in.getenv("AZURE_STORAGE_KEY")
	if text == "" {
		in.wrong("%w: set AZURE_STORAGE_KEY to one of the account's keys (a program of your own can do without: the package azure/udk)", signer.ErrCredentials)
		text = "c3RhbmQtaW4tc3RhbmQtaW4tc3RhbmQtaW4="
	}
	key, err := azure.SharedKey(c.Account, text)
	if err != nil {
		in.errs = append(in.errs, err)
		return nil, nil
	}
	c.Keys = key
	return azure.New(c)
}

func (in *inputs) oss() (signer.Signer, error) {
	in.Region = in.or(in.Region, "OSS_REGION")
	id, secret := in.pair("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", ", and OSS_SESSION_TOKEN for temporary ones")
	return oss.New(oss.Config{
		Bucket:      in.bucket(),
		Region:      in.Region,
		Endpoint:    in.url,
		Credentials: oss.Credentials{AccessKeyID: id, AccessKeySecret: secret, SecurityToken: signer.NewSecret([]byte(in.getenv("OSS_SESSION_TOKEN")))},
	})
}

// List is a request for the names that begin with prefix.
func List(provider, prefix string) (r signer.Request, err error) {
	switch provider {
	case "cdn":
		return r, errors.New("cdn lists nothing: its URLs are for objects; list the bucket behind it")
	case "azure": // the signer adds what makes it a list
		r.Query = url.Values{}
	default: // in the second version, which all have
		r.Query = url.Values{"list-type": {"2"}}
	}
	if prefix != "" {
		r.Query.Set("prefix", prefix)
	}
	return r, nil
}
