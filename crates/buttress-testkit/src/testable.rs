use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::controls::Controls;
use crate::probe::Probe;
use crate::reader::Reader;
use crate::script::Script;
use crate::subject::Subject;

/// A [`Subject`] whose layer makes a service of a [`Probe`]; sealed, implemented by every such subject.
pub trait Testable: sealed::Sealed + Sized {
    /// What the service is called with.
    type Request;
    /// What the service answers.
    type Response;
    /// How the service fails.
    type Error: Into<Box<dyn Error + Send + Sync>>;
    /// What the layer makes of the probe.
    type Service: Service<Self::Request, Response = Self::Response, Error = Self::Error>;

    /// Lets the inner service play `plan`; see [`Probe::with_plan`].
    #[must_use]
    fn playing(self, plan: impl Fn(u64) -> Script + Send + Sync + 'static) -> Self;
    /// Applies the layer to the inner service.
    fn service(&self) -> Self::Service;
    /// Makes a request.
    fn request(&self) -> Self::Request;
    /// Reads the next part of a response.
    fn read(&self, response: Pin<&mut Self::Response>, cx: &mut Context<'_>) -> Poll<Option<()>>;
    /// The controls of the inner service.
    fn controls(&self) -> Controls;
    /// Whether the inner service can fail.
    fn is_fallible(&self) -> bool;
    /// How much of each resource is taken now.
    fn held(&self) -> impl Iterator<Item = (&'static str, usize)>;
    /// Restores what a case may have changed rightly.
    fn restore(&self);
}

impl<L, Req, T, E, R> Testable for Subject<L, Req, T, E, R>
where
    L: Layer<Probe<T, E>>,
    L::Service: Service<Req>,
    <L::Service as Service<Req>>::Error: Into<Box<dyn Error + Send + Sync>>,
    R: Reader<<L::Service as Service<Req>>::Response>,
{
    type Request = Req;
    type Response = <L::Service as Service<Req>>::Response;
    type Error = <L::Service as Service<Req>>::Error;
    type Service = L::Service;

    fn playing(self, plan: impl Fn(u64) -> Script + Send + Sync + 'static) -> Self {
        self.map_probe(|probe| probe.playing(plan))
    }

    fn service(&self) -> Self::Service {
        self.layer.layer(self.probe.another())
    }

    fn request(&self) -> Req {
        (self.request)()
    }

    fn read(&self, response: Pin<&mut Self::Response>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.reader.poll_part(response, cx)
    }

    fn controls(&self) -> Controls {
        self.probe.controls()
    }

    fn is_fallible(&self) -> bool {
        self.probe.is_fallible()
    }

    fn held(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let resources = self.upkeep.resources.iter();
        resources.map(|resource| (resource.name, (resource.held)()))
    }

    fn restore(&self) {
        if let Some(restore) = &self.upkeep.restore {
            restore();
        }
    }
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "what cannot be named cannot be implemented elsewhere"
    )]
    pub trait Sealed {}

    impl<L, Req, T, E, R> Sealed for crate::Subject<L, Req, T, E, R> {}
}
