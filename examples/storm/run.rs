//! One storm from curtain to curtain.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::sync::{mpsc, watch};

use crate::attempts::Tally;
use crate::chance::{Purpose, draw};
use crate::clients::{CLIENTS, clients_in_rush, greedy_rate, join};
use crate::clock::Clock;
use crate::figures::Record;
use crate::gateway::protected::Protected;
use crate::gateway::{self, Way};
use crate::load::Load;
use crate::load::arrivals::{Arrival, Stretch, arrivals};
use crate::options::Options;
use crate::report::Report;
use crate::screen::{Places, Screen};
use crate::script::{Actor, Script};
use crate::stage::{PerSide, PerUpstream, Side, Upstream};
use crate::watch::Watch;

/// Time for every thread to be up before the first call is due.
const LEAD: Duration = Duration::from_millis(250);

/// Both gateways at the height of the storm hold a few hundred connections with two ends each.
const FILE_DESCRIPTORS: u64 = 8_192;

/// Runs a storm, shows it, and returns what there is to report.
pub fn storm(options: &Options) -> anyhow::Result<Report> {
    let listeners = gateway::bind(options.port)?;
    // Where the limit cannot be raised, the one that there is may well do.
    let _ = rlimit::increase_nofile_limit(FILE_DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(options, listeners))
}

async fn run(options: &Options, listeners: PerSide<TcpListener>) -> anyhow::Result<Report> {
    let mut cast = Cast::enter(options).await?;
    let places = cast.open(listeners)?;
    let mut screen = Screen::new(options, &places);
    let clock = Clock::starting_in(LEAD);
    let (stop, stopped) = watch::channel(false);
    let (calls, over) = mpsc::unbounded_channel();
    let gateways = PerSide::from_fn(|side| places.of(side).gateway);
    let load = Load {
        arrivals: calls_of(options),
        gateways,
        tallies: cast.tallies.clone(),
        start: clock.start(),
        calls,
        stop: stopped,
    };
    load.drive().context("driving the gateways")?;

    let mut watch = Watch::new(clock, options.schedule(), cast.protected.clone());
    let cut_short = watch
        .until_over(&mut screen, cast.script.play(clock), over, stop)
        .await?;
    screen.close();

    let turned = PerSide::from_fn(|side| cast.script.turned(side));
    let transitions = cast.protected.transitions(clock.start());
    let timeouts = cast.protected.timeouts(clock.start());
    cast.leave().await?;
    Ok(Report::new(
        options,
        &Record::new(watch.into_calls()),
        &turned,
        transitions,
        timeouts,
        cut_short,
    ))
}

/// Everybody who plays a part.
struct Cast {
    script: Script,
    upstreams: PerSide<PerUpstream<SocketAddr>>,
    /// Of the protected gateway.
    replicas: PerUpstream<SocketAddr>,
    protected: Protected,
    tallies: PerSide<Tally>,
}

impl Cast {
    /// Starts two upstreams for each gateway, and a replica of each for the protected one.
    async fn enter(options: &Options) -> anyhow::Result<Self> {
        let pair = async || -> anyhow::Result<_> {
            Ok(PerUpstream {
                inventory: Actor::start(Upstream::Inventory, options.seed).await?,
                payments: Actor::start(Upstream::Payments, options.seed).await?,
            })
        };
        let actors = PerSide {
            protected: pair().await?,
            bare: pair().await?,
        };
        let replicas = PerUpstream {
            inventory: Actor::start_replica(Upstream::Inventory, options.seed).await?,
            payments: Actor::start_replica(Upstream::Payments, options.seed).await?,
        };
        let address = |side, upstream| actors.of(side).of(upstream).address();
        Ok(Self {
            upstreams: PerSide::from_fn(|side| PerUpstream::from_fn(|up| address(side, up))),
            replicas: PerUpstream::from_fn(|up| replicas.of(up).address()),
            script: Script {
                schedule: options.schedule(),
                actors,
                replicas,
            },
            protected: Protected::new(options.plan()),
            tallies: PerSide::default(),
        })
    }

    /// Opens both gateways, each in front of its own upstreams.
    fn open(&self, listeners: PerSide<TcpListener>) -> anyhow::Result<PerSide<Places>> {
        let ways = self.ways();
        let bare = gateway::bare::router(&ways.bare);
        // Their attempts are no load on the upstreams themselves, and are counted apart.
        let replicas = PerUpstream::from_fn(|upstream| Way {
            upstream: *self.replicas.of(upstream),
            tally: Tally::default(),
        });
        let protected = self.protected.router(&ways.protected, &replicas);
        Ok(PerSide {
            protected: self.open_one(Side::Protected, listeners.protected, protected)?,
            bare: self.open_one(Side::Bare, listeners.bare, bare)?,
        })
    }

    /// How each gateway gets to its upstreams.
    fn ways(&self) -> PerSide<PerUpstream<Way>> {
        let way = |side, upstream| Way {
            upstream: *self.upstreams.of(side).of(upstream),
            tally: self.tallies.of(side).clone(),
        };
        PerSide::from_fn(|side| PerUpstream::from_fn(|upstream| way(side, upstream)))
    }

    fn open_one(&self, side: Side, listener: TcpListener, app: Router) -> anyhow::Result<Places> {
        let (gateway, upstreams) = (listener.local_addr()?, *self.upstreams.of(side));
        gateway::serve(side, listener, app)?;
        Ok(Places { gateway, upstreams })
    }

    /// Ends every child and waits until it has.
    async fn leave(self) -> anyhow::Result<()> {
        self.script.end().await
    }
}

/// The calls of a run: at one rate until the rush and at another in it, and those of the greedy client.
fn calls_of(options: &Options) -> Vec<Arrival> {
    let (rate, rush_rate) = (options.rate, options.plan().rush_rate);
    let (rush, greed) = (options.schedule().rush(), options.schedule().greed());
    let ordinary = Stretch {
        span: Duration::ZERO..rush.start,
        rate,
        clients: CLIENTS,
    };
    let rush = Stretch {
        span: rush,
        rate: rush_rate,
        clients: clients_in_rush(rate, rush_rate),
    };
    let greedy = Stretch {
        span: greed,
        rate: greedy_rate(rate),
        clients: 1,
    };
    // Chance of its own, so that the others call when they would without it.
    let seed = draw(options.seed, Purpose::GreedyArrival, 0).to_bits();
    join(
        arrivals(options.seed, &[ordinary, rush]),
        arrivals(seed, &[greedy]),
    )
}
